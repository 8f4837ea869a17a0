/// The chaining key and handshake hash that every message of a handshake is mixed into (§5.2).
struct SymmetricState {
    private let hash: any NoiseHash.Type
    private var cipherState = CipherState()
    private var chainingKey: SecretBytes
    /// `h`.
    private(set) var handshakeHash: [UInt8]

    /// InitializeSymmetric.
    init(protocolName: String, hash: any NoiseHash.Type) {
        self.hash = hash
        let name = Array(protocolName.utf8)
        handshakeHash =
            name.count <= hash.hashByteCount
            ? name + [UInt8](repeating: 0, count: hash.hashByteCount - name.count) : hash.hash(name)
        chainingKey = SecretBytes(copying: handshakeHash)
    }

    var hasKey: Bool { cipherState.hasKey }

    mutating func mixKey(_ input: SecretBytes) {
        input.withUnsafeBytes { mixKey($0) }
    }

    mutating func mixKey(_ input: UnsafeRawBufferPointer) {
        let outputs = hash.hkdf(chainingKey: chainingKey, input: input, outputCount: 2)
        chainingKey = outputs[0]
        cipherState = CipherState(key: SymmetricState.truncated(outputs[1]))
    }

    mutating func mixHash(_ bytes: [UInt8]) {
        handshakeHash = hash.hash(handshakeHash, bytes)
    }

    mutating func mixKeyAndHash(_ input: SecretBytes) {
        let outputs = input.withUnsafeBytes {
            hash.hkdf(chainingKey: chainingKey, input: $0, outputCount: 3)
        }
        chainingKey = outputs[0]
        mixHash(outputs[1].withUnsafeBytes { Array($0) })
        cipherState = CipherState(key: SymmetricState.truncated(outputs[2]))
    }

    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(NoiseError) -> [UInt8] {
        let ciphertext = try cipherState.encrypt(associatedData: handshakeHash, plaintext: plaintext)
        mixHash(ciphertext)
        return ciphertext
    }

    mutating func decryptAndHash(_ ciphertext: [UInt8]) throws(NoiseError) -> [UInt8] {
        let plaintext = try cipherState.decrypt(associatedData: handshakeHash, ciphertext: ciphertext)
        mixHash(ciphertext)
        return plaintext
    }

    /// Split: the initiator's sending key, then the responder's.
    func split() -> (CipherState, CipherState) {
        let outputs = hash.hkdf(chainingKey: chainingKey, input: .empty, outputCount: 2)
        return (
            CipherState(key: SymmetricState.truncated(outputs[0])),
            CipherState(key: SymmetricState.truncated(outputs[1]))
        )
    }

    /// A hash of 64 bytes is cut to the cipher's 32.
    private static func truncated(_ output: SecretBytes) -> SecretBytes {
        guard output.count > ChaChaPoly.keyByteCount else { return output }
        return SecretBytes(count: ChaChaPoly.keyByteCount) { out in
            output.withUnsafeBytes {
                out.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<ChaChaPoly.keyByteCount]))
            }
        }
    }
}
