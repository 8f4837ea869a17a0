// What two replicas say to each other. Each message is a version, a kind and its fields, and at most
// `Limits.gossipMessageBytesMaximum` bytes long.

enum GossipMessage: Hashable, Sendable {
    static let version: UInt8 = 1

    case digest(Digest)
    /// Encoded deltas.
    case deltas([[UInt8]])
    /// A piece of a delta that doesn't fit one message.
    case part(Part)
    /// What the sender has seen of these replicas by now, and how much it has of a delta in pieces.
    case acknowledgement(VersionVector, PartProgress?)
    /// The sender has seen more of this replica than it can tell change by change.
    case truncated(ReplicaID)
    /// How the receiver's state differs from the sender's in these ranges is wanted.
    case rangesAsked(session: UInt64, round: UInt64, [RangeQuestion])
    case rangesAnswered(session: UInt64, round: UInt64, [RangeAnswer])
    /// The stream of what was taken of the receiver's state is wanted from here on.
    case stateWanted(session: UInt64, offset: UInt64)
    case statePiece(StatePiece)
    /// The receiver's digest isn't taken, under the name that it said; for good: no later epoch's would be.
    case refused(ReplicaID, isForGood: Bool)

    /// Who the sender is and what it has seen.
    struct Digest: Hashable, Sendable {
        var group: StateGroup?
        var replica: ReplicaID
        var version: VersionVector
        /// It wants to hear the same.
        var wantsAnswer: Bool
        /// Of the sender's digests.
        var number: UInt64
        /// See `ReplicatedStore.birth` and `lastSeal`.
        var birth: HybridTime
        var lastSeal: HybridTime
        /// Sorted by replica.
        var closed: [Closing]
        var seals: [Seal]
    }

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
        case deltas, part, acknowledgement, truncated, stateWanted, statePiece, rangesAsked, rangesAnswered
        case refused
    }

    /// Room for what comes before a delta's bytes in `deltas` or a piece's in `part`.
    static let overhead = 64

    func encoded() -> [UInt8] {
        var out = CompactWriter()
        out.byte(GossipMessage.version)
        switch self {
        case .digest(let digest):
            out.byte(Kind.digest.rawValue)
            digest.encode(into: &out)
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
        case .rangesAsked(let session, let round, let questions):
            out.byte(Kind.rangesAsked.rawValue)
            out.fixed(session)
            out.unsigned(round)
            for question in questions { question.encode(into: &out) }
        case .rangesAnswered(let session, let round, let answers):
            out.byte(Kind.rangesAnswered.rawValue)
            out.fixed(session)
            out.unsigned(round)
            out.bytes += answers.map(\.rawValue)
        case .statePiece(let piece):
            out.byte(Kind.statePiece.rawValue)
            out.fixed(piece.session)
            out.unsigned(piece.offset)
            out.bytes += piece.bytes
        case .refused(let replica, let isForGood):
            out.byte(Kind.refused.rawValue)
            replica.encode(into: &out, isMarked: isForGood)
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
        case .digest: self = .digest(try Digest(from: &reader))
        case .deltas: self = .deltas(try GossipMessage.deltas(&reader))
        case .part: self = .part(try Part(from: &reader))
        case .acknowledgement:
            let version = try VersionVector(from: &reader)
            self = .acknowledgement(version, reader.remaining > 0 ? try PartProgress(from: &reader) : nil)
        case .truncated: self = .truncated(try ReplicaID(from: &reader))
        case .stateWanted:
            self = .stateWanted(session: try reader.fixed(), offset: try reader.unsigned())
        case .rangesAsked:
            let (session, round) = (try reader.fixed(), try reader.unsigned())
            var questions: [RangeQuestion] = []
            while reader.remaining > 0 { questions.append(try RangeQuestion(from: &reader)) }
            self = .rangesAsked(session: session, round: round, questions)
        case .rangesAnswered:
            let (session, round) = (try reader.fixed(), try reader.unsigned())
            var answers: [RangeAnswer] = []
            for byte in try reader.take(reader.remaining) {
                guard let answer = RangeAnswer(rawValue: byte) else {
                    throw .unknown(what: "answer", value: UInt64(byte))
                }
                answers.append(answer)
            }
            self = .rangesAnswered(session: session, round: round, answers)
        case .statePiece:
            let session = try reader.fixed()
            let offset = try reader.unsigned()
            guard offset <= 1 << 48 else { throw .tooLarge(what: "offset", count: offset) }
            let bytes = try reader.take(reader.remaining)
            guard !bytes.isEmpty else { throw .truncated(at: reader.offset) }
            self = .statePiece(StatePiece(session: session, offset: offset, bytes: bytes))
        case .refused:
            let (replica, isForGood) = try ReplicaID.marked(from: &reader)
            self = .refused(replica, isForGood: isForGood)
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

extension GossipMessage.Digest {
    fileprivate func encode(into out: inout CompactWriter) {
        out.byte(group == nil ? 0 : 1)
        if let group { out.bytes += group.bytes }
        replica.encode(into: &out, isMarked: wantsAnswer)
        version.encode(into: &out)
        for count in [number, birth.raw, lastSeal.raw, UInt64(closed.count)] { out.unsigned(count) }
        for closing in closed { closing.replica.encode(into: &out, isMarked: closing.isRemoved) }
        out.unsigned(UInt64(seals.count))
        for seal in seals {
            seal.replica.encode(into: &out)
            out.unsigned(seal.counter)
            seal.by.replica.encode(into: &out)
            out.unsigned(seal.by.counter)
        }
    }

    fileprivate init(from reader: inout CompactReader) throws(CompactError) {
        let flag = try reader.byte()
        guard flag <= 1 else { throw .unknown(what: "flag", value: UInt64(flag)) }
        group = flag == 1 ? StateGroup(try reader.take(16)) : nil
        (replica, wantsAnswer) = try ReplicaID.marked(from: &reader)
        version = try VersionVector(from: &reader)
        number = try reader.unsigned()
        birth = HybridTime(raw: try reader.unsigned())
        lastSeal = HybridTime(raw: try reader.unsigned())
        closed = []
        for _ in 0..<(try reader.count(of: "closed replicas", least: 9)) {
            let (replica, isRemoved) = try ReplicaID.marked(from: &reader)
            guard closed.last.map({ $0.replica < replica }) ?? true else {
                throw .notCanonical(at: reader.offset)
            }
            closed.append(Closing(replica: replica, isRemoved: isRemoved))
        }
        seals = []
        for _ in 0..<(try reader.count(of: "seals", least: 20)) {
            let replica = try ReplicaID(from: &reader)
            guard seals.last.map({ $0.replica < replica }) ?? true else {
                throw .notCanonical(at: reader.offset)
            }
            let counter = try reader.counter()
            let by = Dot(try ReplicaID(from: &reader), try reader.counter())
            seals.append(Seal(replica: replica, counter: counter, by: by))
        }
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

extension RangeQuestion {
    private static let hashBit: UInt8 = 0x80

    fileprivate func encode(into out: inout CompactWriter) {
        out.byte(range.depth | (hash == nil ? 0 : RangeQuestion.hashBit))
        out.unsigned(range.prefix)
        if let hash { out.fixed(hash) }
    }

    fileprivate init(from reader: inout CompactReader) throws(CompactError) {
        let head = try reader.byte()
        let depth = head & ~RangeQuestion.hashBit
        let prefix = try reader.unsigned()
        guard depth <= KeyRange.depthMaximum,
            depth == KeyRange.depthMaximum || prefix >> (4 * UInt64(depth)) == 0
        else { throw .tooLarge(what: "range", count: UInt64(depth)) }
        range = KeyRange(depth: depth, prefix: prefix)
        hash = head & RangeQuestion.hashBit == 0 ? nil : try reader.fixed()
    }
}
