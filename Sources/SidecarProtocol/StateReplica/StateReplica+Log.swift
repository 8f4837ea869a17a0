// The log: how a replica finds itself again, and what it leaves.

extension StateReplica {
    mutating func carryOut(_ jobs: [StateLogEffect], at now: Now) {
        for job in jobs {
            switch job {
            case .perform(let job): effects.append(.perform(job))
            case .chunk(let piece): recover(piece)
            case .forget: snapshot = nil
            case .record(_, let type, let payload):
                restore(at: now)
                recover(type, payload, at: now)
            case .opened(let opening): begin(opening, at: now)
            case .refused(let refusal): effects.append(.failed("\(refusal)"))
            case .durable(let record):
                durable = record
                if case .beginning(let awaited) = phase, record >= awaited { serve(at: now) }
            case .snapshotWanted: isSnapshotWanted = true
            case .snapshotRoom: writeSnapshot()
            case .snapshotDone(let record):
                facts.lastSnapshot = now.wall
                if mergeKeeping == .inSnapshot { mergeKeeping = .kept }
                effects.append(.log(.debug, "a snapshot stands for the \(record) records of the log so far"))
            case .snapshotFailed(let why):
                export = nil
                if mergeKeeping == .inSnapshot { mergeKeeping = .wanted }
                isSnapshotWanted = isSnapshotWanted || mergeKeeping == .wanted
                effects.append(.log(.warning, "no snapshot: \(why)"))
            case .full:
                server.writeRefusal =
                    "MISCONF the disk is full, writes are refused until there is space again"
                effects.append(.log(.error, "the disk is full, writes are refused until there is space"))
            case .spaceReturned:
                server.writeRefusal = nil
                effects.append(.log(.notice, "there is space on the disk again"))
            case .closed:
                phase = .ended
                effects.append(.closed)
            case .crash(let why): effects.append(.failed(why))
            }
        }
    }

    // MARK: Opening

    private mutating func recover(_ piece: [UInt8]) {
        var found = snapshot ?? StateImport()
        snapshot = nil
        do { try found.append(piece) } catch {
            // Each chunk has its checksum, so that these bytes were written as they are.
            return effects.append(.failed("the snapshot can't be read: \(error); update mesh"))
        }
        snapshot = found
    }

    /// Once the snapshot, where there is one, has been read to its end.
    private mutating func restore(at now: Now) {
        guard let found = snapshot else { return }
        snapshot = nil
        do {
            store = try ReplicatedStore(
                replica: store.replica, hash: server.keyspace.hash, restoring: found)
            server.apply(store.shown(), now: now)
        } catch {
            effects.append(.failed("the snapshot can't be restored: \(error)"))
        }
    }

    private mutating func recover(_ type: UInt8, _ payload: [UInt8], at now: Now) {
        switch type {
        case RecordType.epoch where payload.count == 4:
            lastEpoch = max(lastEpoch, payload.reduce(0) { $0 << 8 | UInt32($1) })
        case RecordType.delta:
            do {
                let delta = try Delta(encoded: payload)
                // Its time was believed once; a clock that was set back since changes nothing of that.
                store.clock.restore(delta.time)
                server.apply(try store.join(delta, at: now), now: now)
                store.joined.removeAll(keepingCapacity: true)
            } catch {
                effects.append(.log(.error, "a record of the log can't be joined: \(error)"))
            }
        case RecordType.departure where payload.count == 8: recoverDeparture(payload)
        default: effects.append(.log(.warning, "a record of type \(type), of a later version, is skipped"))
        }
    }

    /// Everything is read: a new epoch begins.
    private mutating func begin(_ opening: StateLogOpening, at now: Now) {
        if let damage = opening.damage { effects.append(.log(.error, "given up: \(damage)")) }
        if opening.tornBytes > 0 {
            effects.append(
                .log(.notice, "\(opening.tornBytes) bytes of an interrupted write are dropped from the log"))
        }
        restore(at: now)
        store.restored()
        let epoch = max(lastEpoch, store.highestEpoch(of: store.replica)) &+ 1
        store.begin(ReplicaID(hash: store.replica.hash, epoch: epoch))
        _ = server.takeMutations()
        keptDepartures = store.removed
        guard keepEpoch() else { return }
        phase = .beginning(record: lastRecord)
        // `endTurn` flushes: jobs that were given before this one are still to be passed on.
        log.sync()
    }

    /// - Returns: false where the log refuses it, which ends the replica.
    private mutating func keepEpoch() -> Bool {
        var record: [UInt8] = []
        record.appendBigEndian(store.replica.epoch)
        do {
            lastRecord = try log.append(record, type: RecordType.epoch, isReserved: true)
            return true
        } catch {
            effects.append(.failed("the epoch can't be kept: \(error)"))
            return false
        }
    }

    private mutating func serve(at now: Now) {
        phase = .serving
        facts.replica = store.replica.description
        facts.fsync = settings.fsync.name
        noteFacts()
        noteReplicas()
        effects.append(.ready)
        greetEarly(at: now)
    }
}

// MARK: - Snapshots

extension StateReplica {
    /// Where a state that was taken over from another replica is, which no record of the log says.
    enum MergeKeeping {
        case kept
        case wanted
        case inSnapshot
    }

    mutating func beginSnapshot() {
        if facts.wantsSnapshot { (facts.wantsSnapshot, isSnapshotWanted) = (false, true) }
        guard isSnapshotWanted, export == nil, log.beginSnapshot() != nil else { return }
        isSnapshotWanted = false
        // The records before go, and with them the one that says which epoch this is.
        guard keepEpoch() else { return }
        if mergeKeeping == .wanted { mergeKeeping = .inSnapshot }
        export = StateExport(store)
        writeSnapshot()
    }

    private mutating func writeSnapshot() {
        guard var export else { return }
        self.export = nil
        while let piece = refusedPiece ?? export.next(Limits.stateChunkBytesMaximum) {
            refusedPiece = nil
            guard log.appendSnapshot(piece) else {
                refusedPiece = piece
                self.export = export
                return
            }
        }
        log.endSnapshot()
    }
}
