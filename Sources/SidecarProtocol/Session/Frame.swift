// The frames inside a record: a header of 7 bytes, and a body.
//
//   type 1 · stream 4 (0 where it belongs to none) · length of the body 2 · body
//
// All numbers are big-endian. A record holds whole frames. Types from 0x80 upward may be skipped by a
// reader that doesn't know them; an unknown one below is an error, and so is a body that is too short. A
// body that is longer than known is read as far as known: a newer version added to it.

package enum FrameType: UInt8, Hashable, Sendable {
    case data = 0x01
    /// One datagram, never split.
    case datagram = 0x02
    /// The sender's half of the stream has ended.
    case end = 0x03
    case reset = 0x04
    /// More bytes that the receiver of this frame may send.
    case credit = 0x05
    case open = 0x06
    case accepted = 0x07
    case calls = 0x10
    case verdicts = 0x11
    case head = 0x12
    case goodbye = 0x13
    /// What replicas of one workload's state say to each other; see StateGossip.
    case state = 0x14
    case ping = 0x20
    case pong = 0x21
    /// The three messages of a handshake inside the session, and the answer to the last.
    case rekey1 = 0x30
    case rekey2 = 0x31
    case rekey3 = 0x32
    case rekeyed = 0x33
    /// A `PolicyMessage`. Who doesn't know it skips it, and keeps the policy that it has.
    case policy = 0x80
    /// Number of the sender's trust bundle.
    case bundle = 0x81
}

package struct FrameHeader: Hashable, Sendable {
    package static let byteCount = 7
    /// What fits a record beside its length, the header and the tag.
    package static let bodyBytesMaximum =
        Limits.recordBytesMaximum - 2 - byteCount - ChaChaPoly.tagByteCount

    /// As on the wire; unknown ones occur.
    package let type: UInt8
    package let stream: StreamID
    package let count: Int

    package init(_ type: FrameType, _ stream: StreamID, count: Int) {
        self.type = type.rawValue
        self.stream = stream
        self.count = count
    }

    /// Reads the header at `offset`, and makes sure that the body is all there.
    package init(reading plaintext: UnsafeRawBufferPointer, at offset: Int) throws(SessionError) {
        guard plaintext.count - offset >= FrameHeader.byteCount else { throw .truncatedFrame }
        type = plaintext[offset]
        stream = StreamID(number: plaintext.bigEndian(at: offset + 1, as: UInt32.self))
        count = Int(plaintext.bigEndian(at: offset + 5, as: UInt16.self))
        guard plaintext.count - offset - FrameHeader.byteCount >= count else { throw .truncatedFrame }
    }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // One word of 8 bytes, of which the last 7 are the header.
        let word =
            UInt64(type) << 48 | UInt64(stream.number) << 16 | UInt64(UInt16(truncatingIfNeeded: count))
        var bytes = word.bigEndian
        return try withUnsafeBytes(of: &bytes) { (raw) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: raw[1...]))
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The number at `offset`, which the caller has made sure is there.
    func bigEndian<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        return T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[range])
    }
}

extension [UInt8] {
    /// `withUnsafeBytes`, with typed errors.
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBufferPointer { (bytes) throws(Failure) in
            try body(UnsafeRawBufferPointer(bytes))
        }
    }

    mutating func appendBigEndian<T: FixedWidthInteger>(_ number: T) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}

/// Frames that wait to be sealed, cut into records.
///
/// Small frames of all streams gather here during a turn of the event loop, and leave in one record.
struct PendingFrames {
    /// One record's worth: where its plaintext ends in `bytes`.
    struct Record {
        var end: Int
        /// The frame that ends it was the last under the sending key.
        var endsKey = false
    }

    static let recordBytesMaximum = Limits.recordBytesMaximum - 2 - ChaChaPoly.tagByteCount

    private(set) var bytes: [UInt8] = []
    private(set) var records: [Record] = []

    var isEmpty: Bool { bytes.isEmpty }

    /// What they take on the wire.
    var sealedByteCount: Int { bytes.count + records.count * (2 + ChaChaPoly.tagByteCount) }

    /// Room in `bytes` that is kept for the next turn; more is given back.
    static let retainedBytesMaximum = 32 << 10

    mutating func append(
        _ type: FrameType, _ stream: StreamID = StreamID(number: 0), _ body: UnsafeRawBufferPointer
    ) {
        precondition(body.count <= FrameHeader.bodyBytesMaximum, "a frame fits a record")
        let count = FrameHeader.byteCount + body.count
        let start = records.count > 1 ? records[records.count - 2].end : 0
        if let last = records.last, !last.endsKey, last.end - start + count <= Self.recordBytesMaximum {
            records[records.count - 1].end += count
        } else {
            records.append(Record(end: bytes.count + count))
        }
        FrameHeader(type, stream, count: body.count).withBytes { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: body)
    }

    mutating func append(
        _ type: FrameType, _ stream: StreamID = StreamID(number: 0), _ body: [UInt8] = []
    ) {
        body.withUnsafeBytes { append(type, stream, $0) }
    }

    /// What comes after goes under the next key.
    mutating func endKey() { records[records.count - 1].endsKey = true }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.retainedBytesMaximum)
        records.removeAll(keepingCapacity: true)
    }
}
