// A replica that lacks what the logs have lost takes over what a peer has and it hasn't.
//
// The one that lacks it asks which ranges of the keys differ (see StateRanges.swift), and then for the stream of
// an export of those from an offset on; the peer answers with a window of pieces. What is lost shows as no
// progress from one second to the next, and is asked for again. The import is merged at its end, in one step.

struct StateFetch: Sendable {
    let session: UInt64
    var comparison: RangeComparison
    var state = StateImport()
    /// So much is here without a gap.
    var offset: UInt64 = 0
    var asked: UInt64 = 0
    var progressAtTick: UInt64?
    var idleTicks = 0
    var waiting: [GossipMessage.StatePiece] = []

    var progress: UInt64 { comparison.round &+ offset }
}

struct StateServe: Sendable {
    let session: UInt64
    let ranges: StateRanges
    var taken: Set<KeyRange> = []
    /// From the first time that the stream is wanted.
    var export: StateExport?
    /// Pieces that may have to be sent again; the first begins at `offset`.
    var pieces: [[UInt8]] = []
    var offset: UInt64 = 0
    var isFinished = false
    var idleTicks = 0
}

extension StateGossip {
    static let windowPieces = 16
    private static let pieceBytes = Limits.gossipMessageBytesMaximum - GossipMessage.overhead

    /// The peer can't tell us change by change what we lack.
    mutating func beginTransfer(
        _ origin: ReplicaID, _ index: Int, _ store: ReplicatedStore, _ now: Now, _ effects: inout [Effect]
    ) {
        if store.hasAll(of: origin) {
            // Of those that were sealed all is here, though the version doesn't say so. Unless the peer hears of
            // it, it says this again each second, and never what else its log can't help with.
            var all = VersionVector()
            all[origin] = LocalDot.counterMaximum
            return send(.acknowledgement(all, nil), index, &effects)
        }
        guard !peers.contains(where: { $0.fetch != nil }) else { return }
        sessions &+= 1
        // Sessions of an earlier life of ours aren't taken for this one.
        var name = StableHash()
        name.combine(now.monotonic.nanoseconds)
        name.combine(sessions)
        let fetch = StateFetch(session: name.value, comparison: RangeComparison(StateRanges(store)))
        peers[index].fetch = fetch
        ask(fetch, index, &effects)
    }

    /// What comes next, or again.
    private mutating func ask(_ fetch: StateFetch, _ index: Int, _ effects: inout [Effect]) {
        if fetch.comparison.isFinished {
            send(.stateWanted(session: fetch.session, offset: fetch.offset), index, &effects)
        } else {
            let (round, asked) = (fetch.comparison.round, fetch.comparison.asked)
            send(.rangesAsked(session: fetch.session, round: round, asked), index, &effects)
        }
    }

    mutating func tickTransfer(_ index: Int, _ effects: inout [Effect]) {
        if var serve = peers[index].serve {
            serve.idleTicks += 1
            peers[index].serve = serve.idleTicks > 10 ? nil : serve
        }
        guard var fetch = peers[index].fetch else { return }
        peers[index].fetch = nil
        if fetch.progressAtTick == fetch.progress {
            fetch.idleTicks += 1
            if fetch.idleTicks > 5 { return }
            fetch.asked = fetch.offset
            ask(fetch, index, &effects)
        } else {
            fetch.idleTicks = 0
        }
        fetch.progressAtTick = fetch.progress
        peers[index].fetch = fetch
    }

    mutating func answer(
        _ session: UInt64, _ round: UInt64, _ questions: [RangeQuestion], _ index: Int,
        _ store: ReplicatedStore, _ effects: inout [Effect]
    ) {
        if peers[index].serve?.session != session, round == 1 {
            peers[index].serve = StateServe(session: session, ranges: StateRanges(store))
        }
        guard var serve = peers[index].serve, serve.session == session, serve.export == nil else { return }
        peers[index].serve = nil
        serve.idleTicks = 0
        var answers: [RangeAnswer] = []
        for question in questions {
            let answer = serve.ranges.answer(question)
            if answer == .taken { serve.taken.insert(question.range) }
            answers.append(answer)
        }
        // Whoever keeps to the limit splits none of the ranges beyond it, at most 16 of each that it had asked of.
        guard serve.taken.count <= Limits.reconciledRangesMaximum * 17 else { return }
        peers[index].serve = serve
        send(.rangesAnswered(session: session, round: round, answers), index, &effects)
    }

    mutating func receiveAnswers(
        _ session: UInt64, _ round: UInt64, _ answers: [RangeAnswer], _ index: Int, _ effects: inout [Effect]
    ) {
        guard var fetch = peers[index].fetch, fetch.session == session else { return }
        peers[index].fetch = nil
        if fetch.comparison.receive(answers, round: round) { ask(fetch, index, &effects) }
        peers[index].fetch = fetch
    }

    mutating func serve(_ session: UInt64, _ offset: UInt64, _ index: Int, _ effects: inout [Effect]) {
        guard var serve = peers[index].serve, serve.session == session else { return }
        peers[index].serve = nil
        serve.idleTicks = 0
        while let first = serve.pieces.first, serve.offset < offset {
            serve.offset += UInt64(first.count)
            serve.pieces.removeFirst()
        }
        serve.fill(StateGossip.windowPieces, StateGossip.pieceBytes)
        if serve.offset == offset {
            var start = offset
            for piece in serve.pieces {
                send(.statePiece(.init(session: session, offset: start, bytes: piece)), index, &effects)
                start += UInt64(piece.count)
            }
        }
        peers[index].serve = serve
    }

    mutating func receivePiece(
        _ piece: GossipMessage.StatePiece, _ index: Int, _ store: inout ReplicatedStore, _ now: Now,
        _ effects: inout [Effect]
    ) {
        guard var fetch = peers[index].fetch, fetch.session == piece.session, piece.offset >= fetch.offset,
            !fetch.waiting.contains(where: { $0.offset == piece.offset }),
            fetch.waiting.count < StateGossip.windowPieces
        else { return }
        // Taken out, so that the import isn't copied when it grows.
        peers[index].fetch = nil
        fetch.waiting.append(piece)
        do throws(CompactError) {
            while let next = fetch.waiting.firstIndex(where: { $0.offset == fetch.offset }) {
                let bytes = fetch.waiting.remove(at: next).bytes
                fetch.offset += UInt64(bytes.count)
                guard fetch.state.byteCount + bytes.count <= Limits.stateImportBytesMaximum else {
                    throw .tooLarge(what: "state", count: fetch.offset)
                }
                try fetch.state.append(bytes)
            }
        } catch {
            effects.append(.refused(peers[index].id, .malformed(error)))
            return
        }
        if fetch.state.isComplete { return finish(fetch, index, &store, now, &effects) }
        let window = UInt64(StateGossip.windowPieces * StateGossip.pieceBytes)
        if fetch.offset >= fetch.asked + window {
            fetch.asked = fetch.offset
            send(.stateWanted(session: fetch.session, offset: fetch.offset), index, &effects)
        }
        peers[index].fetch = fetch
    }

    private mutating func finish(
        _ fetch: StateFetch, _ index: Int, _ store: inout ReplicatedStore, _ now: Now,
        _ effects: inout [Effect]
    ) {
        do throws(JoinError) {
            // Places that were given to others since would be taken for theirs.
            let held = fetch.comparison.held()
            guard held.own.replicas.removals == store.replicas.removals else { return }
            let mutations = try store.merge(fetch.state, held, at: now)
            effects.append(.reconciled)
            finishJoin(mutations, &store, &effects)
        } catch {
            effects.append(.refused(peers[index].id, .join(error)))
            return
        }
        let digest = digest(store, wantsAnswer: true)
        for peer in peers.indices { send(digest, peer, &effects) }
    }
}

extension StateServe {
    /// Makes pieces, until there are so many that may have to be sent again.
    fileprivate mutating func fill(_ count: Int, _ bytes: Int) {
        var export = export ?? StateExport(ranges.store, keys: taken.flatMap { ranges.keys(in: $0) })
        while pieces.count < count, !isFinished {
            if let piece = export.next(bytes) { pieces.append(piece) } else { isFinished = true }
        }
        self.export = export
    }
}
