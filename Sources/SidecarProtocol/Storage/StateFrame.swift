// The two building blocks of every file of the state: a header, and frames behind it.
//
// Theory of operation
//
//   All numbers are little endian. A header has 64 bytes and stands at the start of its file:
//
//     0   8  "MESHLOG" (segment), "MESHSNP" (snapshot), "MESHEXP" (export), "MESHEND" (clean shutdown),
//            and the version, 1
//     8   8  size        segment: bytes preallocated, the header's sector included
//                        clean shutdown: the offset behind the last frame; else 0
//     16 16  group       to which group of replicas the state belongs
//     32  8  number      segment, clean shutdown: the segment's number, never used twice; else 0
//     40  8  sequence    segment: of its first record; else: of the last record that is included
//     48 12  zero
//     60  4  CRC32C of bytes 0 to 59
//
//   Frames follow: in a segment from offset 512, so that no write shares the header's sector, in the
//   streams directly at 64. A frame begins at a multiple of 8:
//
//     0   4  CRC32C of the header's 4 bytes of checksum, then bytes 4 to the end of the frame
//     4   4  length of the payload, at most `Limits.statePayloadBytesMaximum`
//     8   8  sequence    of the record; of a chunk its place, from 0; of the end how many frames precede
//     16  4  lag         in a segment: `sequence` less the last record that was durable when this one was
//                        written, at most 2^32-1; else 0
//     20  1  type        1 to 127: a record's, of the user's own; 128: a chunk; 129: the end of a stream
//     21  3  zero
//     24  …  the payload, and zeros up to the next multiple of 8
//
//   Since the checksum begins with that of the file's header, which holds group and number, what a
//   recycled segment still holds of its former life doesn't validate.

package struct StateHeader: Hashable, Sendable {
    package enum Kind: CaseIterable, Sendable {
        case segment, snapshot, export, clean

        fileprivate var magic: [UInt8] {
            switch self {
            case .segment: Array("MESHLOG\u{1}".utf8)
            case .snapshot: Array("MESHSNP\u{1}".utf8)
            case .export: Array("MESHEXP\u{1}".utf8)
            case .clean: Array("MESHEND\u{1}".utf8)
            }
        }
    }

    package static let bytes = 64

    package var kind: Kind
    package var size: UInt64 = 0
    package var group: StateGroup
    package var number: UInt64 = 0
    package var sequence: UInt64

    package init(
        kind: Kind, size: UInt64 = 0, group: StateGroup, number: UInt64 = 0, sequence: UInt64
    ) {
        self.kind = kind
        self.size = size
        self.group = group
        self.number = number
        self.sequence = sequence
    }

    package func encoded() -> [UInt8] {
        var bytes = kind.magic
        bytes.appendLittleEndian(size)
        bytes += group.bytes
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(sequence)
        bytes += [UInt8](repeating: 0, count: 12)
        bytes.appendLittleEndian(CRC32C.checksum(bytes))
        return bytes
    }

    /// Nil where the first 64 bytes aren't a valid header, of whatever kind.
    package init?(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes.prefix(StateHeader.bytes))
        guard bytes.count == StateHeader.bytes,
            let kind = Kind.allCases.first(where: { $0.magic.elementsEqual(bytes[..<8]) }),
            bytes[48..<60].allSatisfy({ $0 == 0 }),
            CRC32C.checksum(Array(bytes[..<60])) == bytes.littleEndian(at: 60, as: UInt32.self),
            let group = StateGroup(Array(bytes[16..<32]))
        else { return nil }
        self.init(
            kind: kind, size: bytes.littleEndian(at: 8), group: group, number: bytes.littleEndian(at: 32),
            sequence: bytes.littleEndian(at: 40))
    }

    /// What the checksums of the file's frames begin with.
    package var seed: UInt32 {
        let bytes = encoded()
        return CRC32C.checksum(Array(bytes[60...]))
    }
}

/// 16 random bytes: a group of replicas that share one state.
package struct StateGroup: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package var description: String { bytes.hex }
}

package struct StateFrame: Hashable, Sendable {
    package static let headBytes = 24
    package static let alignment = 8
    package static let chunkType: UInt8 = 128
    package static let endType: UInt8 = 129

    package var sequence: UInt64
    package var lag: UInt32
    package var type: UInt8
    package var payload: [UInt8]

    package init(sequence: UInt64, lag: UInt32 = 0, type: UInt8, payload: [UInt8]) {
        self.sequence = sequence
        self.lag = lag
        self.type = type
        self.payload = payload
    }

    package static func encodedBytes(payload count: Int) -> Int {
        (headBytes + count + alignment - 1) / alignment * alignment
    }

    package func append(to bytes: inout [UInt8], seed: UInt32) {
        let start = bytes.count
        let end = start + StateFrame.encodedBytes(payload: payload.count)
        bytes.appendLittleEndian(UInt32(0))
        bytes.appendLittleEndian(UInt32(payload.count))
        bytes.appendLittleEndian(sequence)
        bytes.appendLittleEndian(lag)
        bytes.appendLittleEndian(UInt32(type))
        bytes += payload
        while bytes.count < end { bytes.append(0) }
        bytes.withUnsafeMutableBytes { buffer in
            let covered = UnsafeRawBufferPointer(rebasing: buffer[(start + 4)..<end])
            let crc = CRC32C.checksum(covered, after: seed)
            buffer.storeBytes(of: crc.littleEndian, toByteOffset: start, as: UInt32.self)
        }
    }

    // MARK: Reading

    package enum Parsed: Equatable, Sendable {
        /// `end` is the index behind the frame.
        case frame(StateFrame, end: Int)
        /// The head is plausible; the whole frame has so many bytes.
        case incomplete(needed: Int)
        case invalid
    }

    /// - Parameter sequence: which it must be; nil: any.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer, at start: Int, seed: UInt32, sequence expected: UInt64?
    ) -> Parsed {
        guard let head = Head(bytes, at: start) else { return .incomplete(needed: headBytes) }
        guard head.isPlausible, expected == nil || head.sequence == expected else { return .invalid }
        guard start + head.frameBytes <= bytes.count else { return .incomplete(needed: head.frameBytes) }
        guard head.isValid(bytes, at: start, seed: seed) else { return .invalid }
        let payload = Array(bytes[(start + headBytes)..<(start + headBytes + head.length)])
        return .frame(
            StateFrame(sequence: head.sequence, lag: head.lag, type: head.type, payload: payload),
            end: start + head.frameBytes)
    }

    /// The first 24 bytes of a frame, nothing of them checked yet.
    package struct Head {
        package let crc: UInt32
        package let length: Int
        package let sequence: UInt64
        package let lag: UInt32
        package let type: UInt8
        private let rest: UInt32

        /// Nil where fewer bytes are there.
        package init?(_ bytes: UnsafeRawBufferPointer, at start: Int) {
            guard start >= 0, start <= bytes.count - headBytes else { return nil }
            func load<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
                T(littleEndian: bytes.loadUnaligned(fromByteOffset: start + offset, as: T.self))
            }
            crc = load(0, UInt32.self)
            length = Int(load(4, UInt32.self))
            sequence = load(8, UInt64.self)
            lag = load(16, UInt32.self)
            rest = load(20, UInt32.self)
            type = UInt8(truncatingIfNeeded: rest)
        }

        package var frameBytes: Int { encodedBytes(payload: length) }
        package var isPlausible: Bool {
            length <= Limits.statePayloadBytesMaximum && rest >> 8 == 0 && 1...endType ~= type
        }
        /// Everything up to here was durable when the frame was written; nil: nothing is known.
        package var durable: UInt64? {
            lag == .max || UInt64(lag) > sequence ? nil : sequence - UInt64(lag)
        }

        package func isValid(_ bytes: UnsafeRawBufferPointer, at start: Int, seed: UInt32) -> Bool {
            let end = start + frameBytes
            guard isPlausible, end <= bytes.count else { return false }
            let covered = UnsafeRawBufferPointer(rebasing: bytes[(start + 4)..<end])
            guard CRC32C.checksum(covered, after: seed) == crc else { return false }
            return bytes[(start + headBytes + length)..<end].allSatisfy { $0 == 0 }
        }
    }
}

extension [UInt8] {
    package mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Zero where the bytes end before.
    func littleEndian<T: FixedWidthInteger>(at offset: Int, as _: T.Type = T.self) -> T {
        withUnsafeBytes { bytes in
            guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else { return 0 }
            return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
    }
}
