// What two replicas say to each other. Each message is a version, a kind and its fields, and at most
// `Limits.gossipMessageBytesMaximum` bytes long.

enum GossipMessage: Hashable, Sendable {
    static let version: UInt8 = 1

    /// Who the sender is and what it has seen; it wants to hear the same, or not.
    case digest(ReplicaID, VersionVector, wantsAnswer: Bool)
    /// Encoded deltas.
    case deltas([[UInt8]])
    /// A piece of a delta that doesn't fit one message.
    case part(Part)
    /// What the sender has seen of these replicas by now, and how much it has of a delta in pieces.
    case acknowledgement(VersionVector, PartProgress?)
    /// The sender has seen more of this replica than it can tell change by change.
    case truncated(ReplicaID)
    /// The stream of the receiver's state is wanted from here on.
    case stateWanted(session: UInt64, offset: UInt64)
    case statePiece(StatePiece)

    struct StatePiece: Hashable, Sendable {
        var session: UInt64
        var offset: UInt64
        var bytes: [UInt8]
    }

    struct Part: Hashable, Sendable {
        var origin: ReplicaID
        var from: UInt64
        /// Of the whole delta, in bytes.
        var total: UInt64
        var offset: UInt64
        var bytes: [UInt8]
    }

    struct PartProgress: Hashable, Sendable {
        var origin: ReplicaID
        var from: UInt64
        /// So many bytes from the start are there.
        var offset: UInt64
    }
}

extension GossipMessage {
    private enum Kind: UInt8 {
        case digest = 1
        case deltas, part, acknowledgement, truncated, stateWanted, statePiece
    }

    /// Room for what comes before a delta's bytes in `deltas` or a piece's in `part`.
    static let overhead = 64

    func encoded() -> [UInt8] {
        var out = CompactWriter()
        out.byte(GossipMessage.version)
        switch self {
        case .digest(let replica, let version, let wantsAnswer):
            out.byte(Kind.digest.rawValue)
            replica.encode(into: &out)
            out.byte(wantsAnswer ? 1 : 0)
            version.encode(into: &out)
        case .deltas(let deltas):
            out.byte(Kind.deltas.rawValue)
            for delta in deltas {
                out.unsigned(UInt64(delta.count))
                out.bytes += delta
            }
        case .part(let part):
            out.byte(Kind.part.rawValue)
            part.origin.encode(into: &out)
            for number in [part.from, part.total, part.offset] { out.unsigned(number) }
            out.bytes += part.bytes
        case .acknowledgement(let version, let progress):
            out.byte(Kind.acknowledgement.rawValue)
            version.encode(into: &out)
            if let progress {
                progress.origin.encode(into: &out)
                for number in [progress.from, progress.offset] { out.unsigned(number) }
            }
        case .truncated(let replica):
            out.byte(Kind.truncated.rawValue)
            replica.encode(into: &out)
        case .stateWanted(let session, let offset):
            out.byte(Kind.stateWanted.rawValue)
            out.fixed(session)
            out.unsigned(offset)
        case .statePiece(let piece):
            out.byte(Kind.statePiece.rawValue)
            out.fixed(piece.session)
            out.unsigned(piece.offset)
            out.bytes += piece.bytes
        }
        return out.bytes
    }

    init(encoded bytes: [UInt8]) throws(CompactError) {
        guard bytes.count <= Limits.gossipMessageBytesMaximum else {
            throw .tooLarge(what: "message", count: UInt64(bytes.count))
        }
        var reader = CompactReader(bytes)
        let version = try reader.byte()
        guard version == GossipMessage.version else {
            throw .unknown(what: "version", value: UInt64(version))
        }
        let code = try reader.byte()
        guard let kind = Kind(rawValue: code) else {
            throw .unknown(what: "message", value: UInt64(code))
        }
        switch kind {
        case .digest:
            let replica = try ReplicaID(from: &reader)
            let flag = try reader.byte()
            guard flag <= 1 else { throw .unknown(what: "flag", value: UInt64(flag)) }
            self = .digest(replica, try VersionVector(from: &reader), wantsAnswer: flag == 1)
        case .deltas: self = .deltas(try GossipMessage.deltas(&reader))
        case .part: self = .part(try Part(from: &reader))
        case .acknowledgement:
            let version = try VersionVector(from: &reader)
            self = .acknowledgement(version, reader.remaining > 0 ? try PartProgress(from: &reader) : nil)
        case .truncated: self = .truncated(try ReplicaID(from: &reader))
        case .stateWanted:
            self = .stateWanted(session: try reader.fixed(), offset: try reader.unsigned())
        case .statePiece:
            let session = try reader.fixed()
            let offset = try reader.unsigned()
            guard offset <= 1 << 48 else { throw .tooLarge(what: "offset", count: offset) }
            let bytes = try reader.take(reader.remaining)
            guard !bytes.isEmpty else { throw .truncated(at: reader.offset) }
            self = .statePiece(StatePiece(session: session, offset: offset, bytes: bytes))
        }
        try reader.finish()
    }

    private static func deltas(_ reader: inout CompactReader) throws(CompactError) -> [[UInt8]] {
        var deltas: [[UInt8]] = []
        while reader.remaining > 0 { deltas.append(try reader.take(try reader.count(of: "bytes"))) }
        guard !deltas.isEmpty else { throw .truncated(at: reader.offset) }
        return deltas
    }
}

extension GossipMessage.Part {
    fileprivate init(from reader: inout CompactReader) throws(CompactError) {
        origin = try ReplicaID(from: &reader)
        from = try reader.counter()
        total = try reader.unsigned()
        offset = try reader.unsigned()
        bytes = try reader.take(reader.remaining)
        guard total <= UInt64(Limits.deltaBytesMaximum) else { throw .tooLarge(what: "delta", count: total) }
        guard !bytes.isEmpty, offset <= total, UInt64(bytes.count) <= total - offset else {
            throw .tooLarge(what: "piece", count: offset)
        }
    }
}

extension GossipMessage.PartProgress {
    fileprivate init(from reader: inout CompactReader) throws(CompactError) {
        origin = try ReplicaID(from: &reader)
        from = try reader.counter()
        offset = try reader.unsigned()
    }
}
