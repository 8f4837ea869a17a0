// A new handshake inside the session: new ephemeral keys, and new static keys and certificates where a
// side has been given some.
//
//   one that begins                            the other
//   REKEY1: e es                  ─────────▶
//                                 ◀─────────   REKEY2: e ee {versions, leaf, chain}
//   REKEY3: s se {leaf, chain}    ─────────▶   the last frame of its record; receives under the new key
//   sends under the new key                    from the next record
//                                 ◀─────────   REKEYED: the last frame of its record
//   receives under the new key                 sends under the new key
//   from the next record
//
// TCP keeps the records in order, so that both sides change keys at the same record, and no flow sees
// anything of it. The pattern is XK: who begins knows the other's static key from the handshake before.
// So only the one that begins can show a new key, and one that got a new key begins. The prologue binds
// it to the session that it renews.
//
// If both begin at once, the one whose current static key is the lower goes on, and the other forgets
// its own; having still something to show, it begins again afterwards.

enum RekeyState {
    case idle
    case sentFirst(HandshakeState, Credential)
    case sentSecond(HandshakeState)
    /// Waits for REKEYED; then this transport's receiving key is in force.
    case sentThird(HandshakeResult)

    static func prologue(firstHash: [UInt8], currentHash: [UInt8]) -> [UInt8] {
        Array("mesh/1 rekey".utf8) + firstHash + currentHash
    }
}

func precedes(_ one: X25519PublicKey, _ other: X25519PublicKey) -> Bool {
    one.bytes.lexicographicallyPrecedes(other.bytes)
}
