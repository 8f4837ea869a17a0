// A whole state as one stream of bytes, for backups and for moving it.
//
// Theory of operation
//
//   The format is that of StateFrame.swift: a header of kind `export`, whose number and sequence are zero;
//   the snapshot's chunks, numbered from 0; the records behind it, each with the sequence after the one
//   before it; an end, whose sequence is the number of all frames before it. A stream without its end isn't
//   whole, and nothing may follow it.
//
//   Sequences are the log's own. To import, an owner opens an empty folder, gives the chunks as a snapshot,
//   and appends the records, which get new ones.

package struct StateExportWriter: Sendable {
    private let seed: UInt32
    private var frames: UInt64 = 0
    private var unread: [UInt8]

    package init(group: StateGroup) {
        let header = StateHeader(kind: .export, group: group, sequence: 0)
        seed = header.seed
        unread = header.encoded()
    }

    /// Chunks go before records.
    package mutating func append(chunk: [UInt8]) {
        append(StateFrame(sequence: frames, type: StateFrame.chunkType, payload: chunk))
    }

    package mutating func append(record payload: [UInt8], type: UInt8, sequence: UInt64) {
        append(StateFrame(sequence: sequence, type: type, payload: payload))
    }

    package mutating func end() {
        append(StateFrame(sequence: frames, type: StateFrame.endType, payload: []))
    }

    /// What was written since the last call.
    package mutating func take() -> [UInt8] {
        defer { unread = [] }
        return unread
    }

    private mutating func append(_ frame: StateFrame) {
        frame.append(to: &unread, seed: seed)
        frames += 1
    }
}

package struct StateExportReader: Sendable {
    package enum Item: Equatable, Sendable {
        case group(StateGroup)
        case chunk([UInt8])
        case record(type: UInt8, payload: [UInt8])
        /// All of it was read.
        case end
    }

    package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        package var offset: Int
        package var reason: String

        package var description: String { "the export isn't whole: \(reason), at byte \(offset)" }
    }

    private var buffer: [UInt8] = []
    private var used = 0
    private var offset = 0
    private var seed: UInt32?
    private var frames: UInt64 = 0
    /// The last record's; nil before the first.
    private var sequence: UInt64?
    private var isEnded = false

    package init() {}

    package mutating func add(_ bytes: [UInt8]) {
        buffer.removeFirst(used)
        used = 0
        buffer += bytes
    }

    /// Nil until more bytes come.
    package mutating func next() throws(Malformed) -> Item? {
        guard let seed else { return try readHeader() }
        guard !isEnded else {
            if used < buffer.count { throw Malformed(offset: offset, reason: "bytes follow its end") }
            return nil
        }
        let parsed = buffer.withUnsafeBytes {
            StateFrame.parse($0, at: used, seed: seed, sequence: nil)
        }
        switch parsed {
        case .incomplete: return nil
        case .invalid: throw Malformed(offset: offset, reason: "a checksum doesn't match")
        case .frame(let frame, let index):
            let item = try item(frame)
            offset += index - used
            used = index
            frames += 1
            return item
        }
    }

    /// To be called where the bytes end.
    package func finish() throws(Malformed) {
        guard isEnded else { throw Malformed(offset: offset, reason: "it ends too early") }
        if used < buffer.count { throw Malformed(offset: offset, reason: "bytes follow its end") }
    }

    private mutating func readHeader() throws(Malformed) -> Item? {
        guard buffer.count >= StateHeader.bytes else { return nil }
        guard let header = StateHeader(buffer), header.kind == .export else {
            throw Malformed(offset: 0, reason: "it doesn't begin as an export of version 1 does")
        }
        seed = header.seed
        used = StateHeader.bytes
        offset = StateHeader.bytes
        return .group(header.group)
    }

    private mutating func item(_ frame: StateFrame) throws(Malformed) -> Item {
        let isNext: Bool
        switch frame.type {
        case StateFrame.chunkType:
            isNext =
                frame.sequence == frames && sequence == nil
                && frame.payload.count <= Limits.stateChunkBytesMaximum
        case StateFrame.endType:
            isNext = frame.sequence == frames && frame.payload.isEmpty
        default:
            isNext = sequence == nil || frame.sequence == sequence.map { $0 &+ 1 }
            sequence = frame.sequence
        }
        guard isNext else { throw Malformed(offset: offset, reason: "frame \(frames) isn't the next") }
        switch frame.type {
        case StateFrame.chunkType: return .chunk(frame.payload)
        case StateFrame.endType:
            isEnded = true
            return .end
        default: return .record(type: frame.type, payload: frame.payload)
        }
    }
}
