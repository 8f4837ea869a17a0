import NIOCore
import SidecarProtocol

extension PeerLink {
    /// Sends payload of the workload. False: it was taken, but stop reading from the local socket until
    /// the end's `becameSendable`. A stream that is gone swallows it.
    package func write(_ bytes: ByteBuffer, on id: StreamID) -> Bool {
        guard bytes.readableBytes > 0, let stream = streams[id], !stream.wantsFinish else { return true }
        if stream.queue != nil {
            var rest = bytes
            stream.queue?.writeBuffer(&rest)
            stream.isBlocked = true
            return false
        }
        let isSmall = bytes.readableBytes <= Session.coalescedBytesMaximum
        if isSmall || (waiting.isEmpty && !isOutputFull) {
            var rest = bytes
            guard seal(&rest, bytes.readableBytes, on: stream) else { return true }
            if rest.readableBytes == 0 {
                guard isOutputFull else { return true }
                stream.isBlocked = true
                wait(stream)
                return false
            }
            // No credit for the rest: it comes with a CREDIT frame.
            stream.queue = rest
        } else {
            stream.queue = bytes
            wait(stream)
        }
        stream.isBlocked = true
        return false
    }

    /// Sends one datagram of the workload, or keeps it until there is room. Of those that wait the
    /// oldest is dropped when there are too many.
    package func writeDatagram(_ bytes: ByteBuffer, on id: StreamID) {
        guard let stream = streams[id] else { return }
        guard waiting.isEmpty || !stream.datagrams.isEmpty, !isOutputFull, stream.datagrams.isEmpty else {
            if stream.datagrams.count >= Limits.waitingDatagramsMaximum {
                stream.datagrams.removeFirst()
                tally.datagramsDropped &+= 1
            }
            stream.datagrams.append(bytes)
            return wait(stream)
        }
        _ = sealDatagram(bytes, on: stream)
    }

    // MARK: Room

    var isOutputFull: Bool {
        output.readableBytes >= PeerLink.outputBytesMaximum || context?.channel.isWritable != true
    }

    func wait(_ stream: LinkStream) {
        guard !stream.isWaiting else { return }
        stream.isWaiting = true
        waiting.append(stream)
        scheduleFlush()
    }

    /// Lets waiting streams send, in turns, while there is room.
    func serveWaiting() {
        guard !isServingWaiting else { return }
        isServingWaiting = true
        defer { isServingWaiting = false }
        // Streams that come to wait meanwhile have their turn in the next round.
        var turns = waiting.count
        while turns > 0, !isOutputFull, phase == .established, let stream = waiting.popFirst() {
            turns -= 1
            stream.isWaiting = false
            guard !stream.isGone else { continue }
            if serve(stream) { turns += 1 }
        }
        if !waiting.isEmpty, !isOutputFull { scheduleFlush() }
    }

    /// One turn. True where the stream has more to send, and has gone to the end of the line.
    private func serve(_ stream: LinkStream) -> Bool {
        while let datagram = stream.datagrams.first, !isOutputFull {
            stream.datagrams.removeFirst()
            guard sealDatagram(datagram, on: stream) else { return false }
        }
        if var rest = stream.queue {
            stream.queue = nil
            guard seal(&rest, PeerLink.turnBytes, on: stream) else { return false }
            if rest.readableBytes > 0 { stream.queue = rest }
        }
        if !stream.isEmpty {
            guard stream.isDatagram || (session?.sendCredit(on: stream.id) ?? 0) > 0 else { return false }
            wait(stream)
            return true
        }
        finishIfEmpty(stream)
        if stream.isBlocked {
            stream.isBlocked = false
            if !stream.isGone { stream.end.becameSendable() }
        }
        return false
    }

    /// The peer lets the stream send more.
    func creditCame(_ id: StreamID) {
        guard let stream = streams[id], stream.isBlocked else { return }
        wait(stream)
    }

    func finishIfEmpty(_ stream: LinkStream) {
        guard stream.wantsFinish, stream.isEmpty, !stream.isGone else { return }
        session?.finish(stream.id)
        scheduleFlush()
        forgetIfEnded(stream.id)
    }

    func forgetIfEnded(_ id: StreamID) {
        guard session?.isDatagram(id) == nil else { return }
        streams[id]?.isGone = true
        streams[id] = nil
    }

    // MARK: Sealing

    /// Sends up to `count` of the bytes, and takes them off. False: the stream is gone.
    private func seal(_ bytes: inout ByteBuffer, _ count: Int, on stream: LinkStream) -> Bool {
        let count = min(count, bytes.readableBytes)
        let room = session?.room(forPayload: count) ?? 0
        var outcome = SendOutcome.gone
        var failure: SessionError?
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { out in
            bytes.withUnsafeReadableBytes { bytes in
                do throws(SessionError) {
                    outcome =
                        try session?.send(
                            UnsafeRawBufferPointer(rebasing: bytes[..<count]), on: stream.id, into: out)
                        ?? .gone
                } catch { failure = error }
            }
            guard case .sent(_, let written) = outcome else { return 0 }
            return written
        }
        if let failure {
            fail(failure)
            return false
        }
        guard case .sent(let taken, _) = outcome else { return lost(stream, outcome) }
        bytes.moveReaderIndex(forwardBy: taken)
        scheduleFlush()
        return true
    }

    private func sealDatagram(_ bytes: ByteBuffer, on stream: LinkStream) -> Bool {
        let room = session?.room(forPayload: bytes.readableBytes) ?? 0
        var outcome = SendOutcome.gone
        var failure: SessionError?
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { out in
            bytes.withUnsafeReadableBytes { bytes in
                do throws(SessionError) {
                    outcome = try session?.sendDatagram(bytes, on: stream.id, into: out) ?? .gone
                } catch { failure = error }
            }
            guard case .sent(_, let written) = outcome else { return 0 }
            return written
        }
        if let failure {
            fail(failure)
            return false
        }
        guard case .sent = outcome else { return lost(stream, outcome) }
        scheduleFlush()
        return true
    }

    /// The session doesn't have the stream any more, or has just cut it.
    private func lost(_ stream: LinkStream, _ outcome: SendOutcome) -> Bool {
        guard !stream.isGone else { return false }
        // A datagram that is too large is the workload's error; it is dropped, and the stream stays.
        if stream.isDatagram, outcome == .gone, session?.isDatagram(stream.id) != nil {
            tally.datagramsDropped &+= 1
            return true
        }
        stream.isGone = true
        streams[stream.id] = nil
        scheduleFlush()
        stream.end.receiveReset(outcome == .notPermitted ? .policy : .sessionLost)
        return false
    }

    // MARK: Flushing

    /// All that this turn of the event loop sends leaves together, at its end.
    func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { self.endTurn() }
    }

    func scheduleFlushIfPending() {
        if !isFlushScheduled, (session?.flushByteCount ?? 0) > 0 { scheduleFlush() }
    }

    private func endTurn() {
        isFlushScheduled = false
        serveWaiting()
        flush()
        // What the flush made room for.
        if !waiting.isEmpty, !isOutputFull { scheduleFlush() }
        armTimer()
    }

    /// Seals what is pending and hands everything to the channel.
    func flush() {
        guard let context, phase != .closed else { return }
        let count = session?.flushByteCount ?? 0
        if count > 0 {
            var failure: SessionError?
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { out in
                do throws(SessionError) { return try session?.flush(into: out) ?? 0 } catch {
                    failure = error
                    return 0
                }
            }
            if let failure { return fail(failure) }
        }
        guard output.readableBytes > 0 else { return }
        hadTraffic = true
        tally.writes &+= 1
        context.writeAndFlush(NIOAny(output), promise: nil)
        // The storage is used again where the channel has written it all.
        output.clear()
        checkUnsent(context)
        scheduleTrim()
    }

    /// A peer that sends and doesn't read would make our answers pile up.
    private func checkUnsent(_ context: ChannelHandlerContext) {
        guard !context.channel.isWritable,
            let unsent = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes),
            unsent > Limits.linkUnsentBytesMaximum
        else { return }
        end(.limit, "the peer doesn't read: \(unsent) bytes wait for it")
    }

    // MARK: Memory

    private func scheduleTrim() {
        guard !isTrimScheduled,
            max(output.storageCapacity, plaintext.storageCapacity, partial.storageCapacity)
                > PeerLink.retainedBytes
        else { return }
        isTrimScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.trim() }
    }

    /// Gives large buffers back, unless there was traffic since the last look.
    private func trim() {
        isTrimScheduled = false
        if !hadTraffic {
            if output.readableBytes == 0 { output = ByteBuffer() }
            if partial.readableBytes == 0 { partial = ByteBuffer() }
            plaintext = ByteBuffer()
        }
        hadTraffic = false
        scheduleTrim()
    }
}
