extension FlowID {
    /// The same at both ends: a hash of the stream's number, keyed by the hash of the session's first
    /// handshake (32 bytes), which is like no other session's.
    package init(handshakeHash: [UInt8], stream: StreamID) {
        let number = stream.number
        let name = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
        self.init(BLAKE2b.hash(Array("mesh/1 flow".utf8) + name, key: handshakeHash, count: 16))!
    }
}
