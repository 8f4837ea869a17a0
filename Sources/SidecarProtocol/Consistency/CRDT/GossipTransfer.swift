// A replica that lacks what the logs have lost takes over a peer's whole state.
//
// The one that lacks it asks for the stream of an export from an offset on; the peer answers with a window of
// pieces. What is lost shows as no progress from one second to the next, and is asked for again. The import is
// merged at its end, in one step.

struct StateFetch: Sendable {
    let session: UInt64
    var state = StateImport()
    /// So much is here without a gap.
    var offset: UInt64 = 0
    var asked: UInt64 = 0
    var offsetAtTick: UInt64?
    var idleTicks = 0
    var waiting: [GossipMessage.StatePiece] = []
}

struct StateServe: Sendable {
    let session: UInt64
    var export: StateExport
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
    mutating func beginTransfer(_ index: Int, _ now: Now, _ effects: inout [Effect]) {
        guard !peers.contains(where: { $0.fetch != nil }) else { return }
        sessions &+= 1
        // Sessions of an earlier life of ours aren't taken for this one.
        var name = StableHash()
        name.combine(now.monotonic.nanoseconds)
        name.combine(sessions)
        peers[index].fetch = StateFetch(session: name.value)
        send(.stateWanted(session: name.value, offset: 0), index, &effects)
    }

    mutating func tickTransfer(_ index: Int, _ effects: inout [Effect]) {
        if var serve = peers[index].serve {
            serve.idleTicks += 1
            peers[index].serve = serve.idleTicks > 10 ? nil : serve
        }
        guard var fetch = peers[index].fetch else { return }
        if fetch.offsetAtTick == fetch.offset {
            fetch.idleTicks += 1
            if fetch.idleTicks > 5 {
                peers[index].fetch = nil
                return
            }
            fetch.asked = fetch.offset
            send(.stateWanted(session: fetch.session, offset: fetch.offset), index, &effects)
        } else {
            fetch.idleTicks = 0
        }
        fetch.offsetAtTick = fetch.offset
        peers[index].fetch = fetch
    }

    mutating func serve(
        _ session: UInt64, _ offset: UInt64, _ index: Int, _ store: ReplicatedStore, _ effects: inout [Effect]
    ) {
        if offset == 0, peers[index].serve?.session != session {
            peers[index].serve = StateServe(session: session, export: StateExport(store))
        }
        guard var serve = peers[index].serve, serve.session == session else { return }
        peers[index].serve = nil
        serve.idleTicks = 0
        while let first = serve.pieces.first, serve.offset < offset {
            serve.offset += UInt64(first.count)
            serve.pieces.removeFirst()
        }
        while serve.pieces.count < StateGossip.windowPieces, !serve.isFinished {
            guard let piece = serve.export.next(StateGossip.pieceBytes) else {
                serve.isFinished = true
                break
            }
            serve.pieces.append(piece)
        }
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
            let mutations = try store.merge(fetch.state, at: now)
            effects.append(.reconciled)
            finishJoin(mutations, &store, &effects)
        } catch {
            effects.append(.refused(peers[index].id, .join(error)))
            return
        }
        let digest = GossipMessage.digest(store.replica, store.version, wantsAnswer: true)
        for peer in peers.indices { send(digest, peer, &effects) }
    }
}
