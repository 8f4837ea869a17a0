import SidecarProtocol
import Testing

@Suite struct CRC32CTests {
    /// RFC 3720, appendix B.4; the checksum's bytes stand there lowest first.
    @Test("the examples of RFC 3720 have the checksums that it gives")
    func examples() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(CRC32C.checksum((0..<32).map { 31 - UInt8($0) }) == 0x113F_DB5C)
        let read: [UInt8] = [
            0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0,
            0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
        ]
        #expect(CRC32C.checksum(read) == 0xD996_3A56)
        #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(CRC32C.checksum([]) == 0)
    }

    @Test("a checksum in parts, of every length and alignment, is that of the whole by bits")
    func parts() {
        var numbers = SeededNumbers(state: 1)
        let bytes = numbers.bytes(75)
        for count in 0...bytes.count {
            let whole = Array(bytes[..<count])
            #expect(CRC32C.checksum(whole) == bitwise(whole))
            let cut = count / 3
            let first = CRC32C.checksum(Array(whole[..<cut]))
            #expect(CRC32C.checksum(Array(whole[cut...]), after: first) == bitwise(whole))
        }
    }

    private func bitwise(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
        }
        return ~crc
    }
}
