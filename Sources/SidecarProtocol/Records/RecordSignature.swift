// Who wrote the records of flows: what a signature line says, and when one is due.
//
// Theory of operation
//
//   The lines of a records file are chained by hashes, which anybody can make. So the sidecar signs the
//   chain, with the Ed25519 key that its certificate names, in a line of its own: when it begins to
//   write (which vouches for what an earlier incarnation left unsigned), after every
//   `Limits.recordSignatureLines` lines, a minute after a line that nothing has signed, before a file is
//   rotated, and at its end. The line carries the certificate and its issuer's, so that each is proved
//   by itself, whatever keys came before and after it.
//
//   A signature covers the chain of the line before it, and with that every line before it.

/// What one signature line states. Its instance, incarnation and time are the line's own members.
package struct RecordSignature: Hashable, Sendable {
    /// Why it stands where it stands.
    package enum Mark: String, Hashable, Sendable, CaseIterable {
        /// A sidecar begins to write here.
        case begin
        case periodic
        /// The file is full, and another one follows it.
        case rotation
        /// Nothing follows: the sidecar ended in order.
        case end
    }

    package var mark: Mark
    package var instance: InstanceID
    package var incarnation: UInt64
    package var time: WallTime
    /// The hash in the line before, 32 bytes; zeros where there is none.
    package var chain: [UInt8]

    package init(
        mark: Mark, instance: InstanceID, incarnation: UInt64, time: WallTime, chain: [UInt8]
    ) {
        self.mark = mark
        self.instance = instance
        self.incarnation = incarnation
        self.time = time
        self.chain = chain
    }

    /// 64 bytes.
    package func signature(by key: SigningKeyPair) -> [UInt8] {
        SignedBytes(body: body, context: .records, signedBy: key).signature
    }

    package func isValid(signature: [UInt8], by key: SigningPublicKey) -> Bool {
        let signed = CBOR.array([.bytes(body), .bytes(signature)]).encoded()
        guard let signed = try? SignedBytes(canonical: signed) else { return false }
        return signed.isValid(context: .records, signedBy: key)
    }

    /// Canonical CBOR: version, mark, instance, incarnation, milliseconds since 1970, chain.
    private var body: [UInt8] {
        CBOR.array([
            .unsigned(1), .text(mark.rawValue), .bytes(instance.bytes), .unsigned(incarnation),
            .unsigned(UInt64(bitPattern: time.milliseconds)), .bytes(chain),
        ]).encoded()
    }
}

/// Decides when the lines of one sidecar's records are signed, and signs them.
package struct RecordSigner: Sendable {
    private let instance: InstanceID
    private let incarnation: UInt64
    private var key: SigningKeyPair?
    /// The leaf and its issuer's certificate, as encoded.
    package private(set) var certificates: [[UInt8]] = []
    private var hasBegun = false
    private var unsignedLines = 0
    /// When the first of them was written.
    private var unsignedSince: MonotonicTime?

    package init(instance: InstanceID, incarnation: UInt64) {
        self.instance = instance
        self.incarnation = incarnation
    }

    /// Signs with this certificate's key from now on.
    package mutating func adopt(_ credential: Credential) {
        key = credential.signingKey
        certificates = ([credential.certificate] + credential.chain).map(\.encoded)
    }

    /// What must be signed before another line is written.
    package var markDue: RecordSignature.Mark? {
        guard key != nil else { return nil }
        if !hasBegun { return .begin }
        return unsignedLines >= Limits.recordSignatureLines ? .periodic : nil
    }

    /// When a line has waited long enough for its signature; nil where none waits.
    package var deadline: MonotonicTime? {
        guard key != nil else { return nil }
        return unsignedSince.map { $0 + Limits.recordSignatureSpan }
    }

    package var hasUnsigned: Bool { key != nil && unsignedLines > 0 }

    package mutating func wrote(at now: MonotonicTime) {
        unsignedLines += 1
        if unsignedSince == nil { unsignedSince = now }
    }

    /// - Parameter chain: the hash in the line before.
    /// - Returns: nil before there is a certificate.
    package mutating func sign(
        _ mark: RecordSignature.Mark, chain: [UInt8], at now: Now
    ) -> (statement: RecordSignature, signature: [UInt8])? {
        guard let key else { return nil }
        (hasBegun, unsignedLines, unsignedSince) = (true, 0, nil)
        let statement = RecordSignature(
            mark: mark, instance: instance, incarnation: incarnation, time: now.wall, chain: chain)
        return (statement, statement.signature(by: key))
    }
}

extension Limits {
    /// Lines between two signatures.
    package static let recordSignatureLines = 64
    /// How long a line of records waits for its signature.
    package static let recordSignatureSpan = MonotonicTime.Span.seconds(60)
}
