import NIOCore
import SidecarProtocol

extension PeerLink: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { start() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        // The next endpoint's channel may be there already.
        if self.context === context { self.context = nil }
    }

    package func channelActive(context: ChannelHandlerContext) {
        start()
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .handshaking || phase == .established else { return }
        var input = Self.unwrapInboundIn(data)
        let now = Now.current()
        tally.reads &+= 1
        hadTraffic = true
        currentRead = now.monotonic
        plaintext.clear(minimumCapacity: input.readableBytes + partial.readableBytes)
        do throws(SessionError) {
            try openRecords(&input, at: now)
            handOut()
        } catch {
            handOut()
            fail(error)
        }
        currentRead = nil
        scheduleFlushIfPending()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !waiting.isEmpty { scheduleFlush() }
        context.fireChannelWritabilityChanged()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.sessionLost, "\(error)")
    }

    package func channelInactive(context: ChannelHandlerContext) {
        connectionLost("the peer closed the connection")
        context.fireChannelInactive()
    }

    // MARK: Records

    /// Opens every complete record. Their frames are read, but none is handed out: a slice of
    /// `plaintext` in other hands would make the next record's write copy all of it.
    private func openRecords(_ input: inout ByteBuffer, at now: Now) throws(SessionError) {
        while input.readableBytes > 0 {
            if partial.readableBytes == 0 {
                guard let count = try unitByteCount(input), count <= input.readableBytes else {
                    partial.writeBuffer(&input)
                    return
                }
                try open(input, count, at: now)
                input.moveReaderIndex(forwardBy: count)
            } else {
                let count = try unitByteCount(partial)
                let wanted = (count ?? partial.readableBytes + 1) - partial.readableBytes
                if let part = input.readSlice(length: min(wanted, input.readableBytes)) {
                    partial.writeImmutableBuffer(part)
                }
                guard let count = try unitByteCount(partial), count <= partial.readableBytes else {
                    continue
                }
                try open(partial, count, at: now)
                partial.clear()
            }
        }
    }

    private func unitByteCount(_ bytes: ByteBuffer) throws(SessionError) -> Int? {
        var failure: SessionError?
        let count = bytes.withUnsafeReadableBytes { bytes -> Int? in
            do throws(SessionError) { return try session?.unitByteCount(bytes) } catch {
                failure = error
                return nil
            }
        }
        if let failure { throw failure }
        return count
    }

    private func open(_ bytes: ByteBuffer, _ count: Int, at now: Now) throws(SessionError) {
        let base = plaintext.writerIndex
        var failure: SessionError?
        plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { out in
            bytes.withUnsafeReadableBytes { bytes in
                do throws(SessionError) {
                    return try session?.receive(
                        UnsafeRawBufferPointer(rebasing: bytes[..<count]), into: out, at: now) ?? 0
                } catch {
                    failure = error
                    return 0
                }
            }
        }
        if let failure { throw failure }
        if phase == .handshaking, session?.hasFirstFlight == true { delegate?.linkGreeted(self) }
        try readFrames(from: base, at: now)
    }

    private func readFrames(from base: Int, at now: Now) throws(SessionError) {
        var failure: SessionError?
        plaintext.withUnsafeReadableBytes { bytes in
            let record = UnsafeRawBufferPointer(rebasing: bytes[(base - plaintext.readerIndex)...])
            var cursor = 0
            do throws(SessionError) {
                while let event = try session?.nextEvent(in: record, cursor: &cursor, at: now) {
                    events.append((event, base))
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    // MARK: Frames

    private func handOut() {
        var events: [(event: SessionEvent, base: Int)] = []
        swap(&events, &self.events)
        for index in events.indices {
            guard phase == .handshaking || phase == .established else { break }
            handOut(events[index].event, from: events[index].base)
        }
        events.removeAll(keepingCapacity: events.capacity <= 256)
        swap(&events, &self.events)
        for stream in touched {
            stream.isTouched = false
            if !stream.isGone { stream.end.receiveComplete() }
        }
        touched.removeAll(keepingCapacity: touched.capacity <= 256)
    }

    private func handOut(_ event: SessionEvent, from base: Int) {
        switch event {
        case .data(let id, let range):
            // What was admitted a moment ago may have been cut by the event before.
            guard let stream = streams[id], stream.permit.isValid,
                let payload = plaintext.getSlice(at: base + range.lowerBound, length: range.count)
            else { return }
            touch(stream)
            stream.end.receive(payload)
        case .datagram(let id, let range):
            guard let stream = streams[id], stream.permit.isValid,
                let payload = plaintext.getSlice(at: base + range.lowerBound, length: range.count)
            else { return }
            touch(stream)
            stream.end.receiveDatagram(payload)
        case .end(let id):
            streams[id]?.end.receiveEnd()
            forgetIfEnded(id)
        case .credit(let id): creditCame(id)
        case .cut(let id, let reason): lost(id, reason)
        case .control(let frame): handOut(frame)
        case .answered(let number): pings.removeValue(forKey: number)?.answered(at: readTime)
        case .established(let peer):
            phase = .established
            self.peer = peer
            delegate?.linkEstablished(self, peer)
        case .renewed(let peer):
            self.peer = peer
            delegate?.linkRenewed(self, peer)
        }
    }

    private func handOut(_ frame: ControlFrame) {
        switch frame {
        case .open(let stream, let open): delegate?.link(self, opened: stream, open)
        case .reset(let stream, let reason): lost(stream, reason)
        case .goodbye(let reason):
            delegate?.link(self, received: frame)
            end(reason, "the peer said goodbye")
        case .accepted, .calls, .verdicts, .head, .policy, .bundle, .state:
            delegate?.link(self, received: frame)
        }
    }

    private func lost(_ id: StreamID, _ reason: CloseReason) {
        let stream = streams.removeValue(forKey: id)
        stream?.isGone = true
        delegate?.link(self, received: .reset(id, reason))
        stream?.end.receiveReset(reason)
    }

    private func touch(_ stream: LinkStream) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }
}
