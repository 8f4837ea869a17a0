import Testing

@testable import SidecarProtocol

/// In one suite and one after the other: all secrets of a process share their pages.
@Suite("Secrets in memory", .serialized)
struct SecretBytesTests {
    private func address(of secret: SecretBytes) -> UInt {
        secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }

    @Test(
        "a new secret is zeros, and keeps what was written", arguments: [0, 1, 31, 32, 33, 63, 64, 65, 1000])
    func contents(count: Int) {
        let expected = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
        let secret = SecretBytes(count: count) { out in
            #expect(out.allSatisfy { $0 == 0 })
            out.copyBytes(from: expected)
        }
        #expect(secret.count == count && secret.withUnsafeBytes { Array($0) } == expected)
        #expect(address(of: secret) % 16 == 0)
    }

    @Test("the slots of keys are reused, and hold nothing of the key before", arguments: [32, 64])
    func areWiped(count: Int) {
        // A page of its own size always stays, so that its memory can be looked at after the secret's end.
        let neighbour = SecretBytes(copying: [UInt8](repeating: 1, count: count))
        var secret: SecretBytes? = SecretBytes(copying: [UInt8](repeating: 0xA5, count: count))
        let place = UnsafeRawPointer(bitPattern: address(of: secret!))!
        #expect((0..<count).allSatisfy { place.load(fromByteOffset: $0, as: UInt8.self) == 0xA5 })
        secret = nil
        // The first eight bytes may hold the address of the next free slot.
        #expect((8..<count).allSatisfy { place.load(fromByteOffset: $0, as: UInt8.self) == 0 })
        #expect(neighbour.withUnsafeBytes { $0.allSatisfy { $0 == 1 } })
    }

    @Test("many secrets take a page for about a hundred of them, and give it back")
    func areDense() {
        let before = SecretMemory.pages
        let count = 12_600
        var secrets = (0..<count).map { number in
            SecretBytes(count: 32) { $0.storeBytes(of: UInt64(number), as: UInt64.self) }
        }
        let most = SecretMemory.pages
        let grown = most.locked + most.unlocked - before.locked - before.unlocked
        #expect(grown <= count * 34, "\(grown) bytes for \(count) keys")
        for (number, secret) in secrets.enumerated() {
            #expect(secret.withUnsafeBytes { $0.load(as: UInt64.self) } == UInt64(number))
        }
        // Freed out of order.
        for index in stride(from: 0, to: count, by: 2) { secrets[index] = secrets[index ^ 1] }
        secrets = []
        let after = SecretMemory.pages
        #expect(after.locked + after.unlocked <= before.locked + before.unlocked + 65_536)
    }

    @Test("bytes that a secret was copied from can be wiped")
    func wipe() {
        var bytes: [UInt8] = [1, 2, 3]
        SecretMemory.wipe(&bytes)
        #expect(bytes == [0, 0, 0])
        var none: [UInt8] = []
        SecretMemory.wipe(&none)
        #expect(none.isEmpty)
    }
}
