extension Session {
    /// The length of the first flight, message or record that begins with these bytes, or nil while too
    /// few are there to tell.
    package func unitByteCount(_ start: UnsafeRawBufferPointer) throws(SessionError) -> Int? {
        if case .awaitingFirstFlight = phase { return try FirstFlight.byteCount(start) }
        guard start.count >= 2 else { return nil }
        let length = Int(start.bigEndian(at: 0, as: UInt16.self))
        let maximum =
            isEstablished ? Limits.recordBytesMaximum - 2 : Limits.handshakeMessageBytesMaximum
        guard (ChaChaPoly.tagByteCount...maximum).contains(length) else { throw .recordLength(length) }
        return 2 + length
    }

    /// Takes one unit. A record is opened into `out`; `nextEvent` then tells what is in it.
    ///
    /// - Parameters:
    ///   - unit: exactly the bytes that `unitByteCount` asked for.
    ///   - out: at least as many bytes.
    /// - Returns: the plaintext's length; 0 for a message of the handshake.
    package mutating func receive(
        _ unit: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer, at now: Now
    ) throws(SessionError) -> Int {
        counters.bytesReceived &+= UInt64(unit.count)
        do {
            switch phase {
            case .established:
                clocks.heard(at: now.monotonic)
                return try openRecord(unit, into: out)
            case .awaitingFirstFlight(let source):
                let handshake = try ResponderHandshake(
                    FirstFlight(parsing: Array(unit)), credentials: source, versions: versions,
                    ephemeral: makeEphemeral, at: now.wall, output: &rawOutput)
                phase = .awaitingMessage3(handshake)
            case .awaitingMessage2(var handshake):
                let result = try handshake.receive(
                    Array(unit.dropFirst(2)), at: now.wall, output: &rawOutput)
                establish(result, at: now)
            case .awaitingMessage3(var handshake):
                establish(try handshake.receive(Array(unit.dropFirst(2)), at: now.wall), at: now)
            case .failed: return 0
            }
            return 0
        } catch {
            phase = .failed
            throw error
        }
    }

    /// What comes next in an opened record; nil at its end. Whatever was pending otherwise comes first.
    ///
    /// - Parameter cursor: 0 for a new record.
    package mutating func nextEvent(
        in plaintext: UnsafeRawBufferPointer, cursor: inout Int, at now: Now
    ) throws(SessionError) -> SessionEvent? {
        if !events.isEmpty { return events.removeFirst() }
        do {
            while cursor < plaintext.count, isEstablished {
                let header = try FrameHeader(reading: plaintext, at: cursor)
                let start = cursor + FrameHeader.byteCount
                cursor = start + header.count
                if let event = try read(header, plaintext, start..<cursor, at: now) { return event }
                if !events.isEmpty { return events.removeFirst() }
            }
        } catch {
            phase = .failed
            throw error
        }
        return nil
    }

    private mutating func openRecord(
        _ unit: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(SessionError) -> Int {
        if let next = nextReceive {
            transport?.receive = next
            nextReceive = nil
        }
        do { try transport?.receive.open(ciphertext: unit.slice(2..<unit.count), into: out) } catch {
            throw .record(error)
        }
        counters.recordsReceived &+= 1
        return unit.count - 2 - ChaChaPoly.tagByteCount
    }

    // MARK: Frames

    private mutating func read(
        _ header: FrameHeader, _ plaintext: UnsafeRawBufferPointer, _ range: Range<Int>, at now: Now
    ) throws(SessionError) -> SessionEvent? {
        guard let type = FrameType(rawValue: header.type) else {
            guard header.type >= 0x80 else { throw .unknownFrame(type: header.type) }
            return nil
        }
        let body = plaintext.slice(range)
        switch type {
        case .data: return try readData(header.stream, body, range, at: now.monotonic)
        case .datagram: return try readDatagram(header.stream, body, range)
        case .end: return try readEnd(header.stream)
        case .credit: return try readCredit(header.stream, body)
        case .ping: try readPing(body)
        case .pong: return try readPong(body, at: now.monotonic)
        case .rekey1: try readRekey1(body, at: now.monotonic)
        case .rekey2: try readRekey2(body, at: now)
        case .rekey3: try readRekey3(body, isLast: range.upperBound == plaintext.count, at: now)
        case .rekeyed: try readRekeyed(isLast: range.upperBound == plaintext.count, at: now)
        case .open, .accepted, .reset, .calls, .verdicts, .head, .policy, .bundle, .goodbye, .state:
            guard let frame = try ControlFrame.decode(type, header.stream, body) else { return nil }
            return try readControl(frame)
        }
        return nil
    }

    private mutating func readControl(_ frame: ControlFrame) throws(SessionError) -> SessionEvent? {
        switch frame {
        case .open(let id, let open):
            guard !isLocal(id), id.number > lastRemoteStream, id.number < .max - 1 else {
                throw .unexpectedStream(id)
            }
            lastRemoteStream = id.number
            guard streams.count < Limits.sessionStreamsMaximum else {
                ControlFrame.reset(id, .limit).encode(into: &pending)
                return nil
            }
            streams[id.number] = SessionStream(
                id: id, isDatagram: open.port.protocol == .udp, permit: nil)
            return .control(frame)
        case .accepted(let id): return try stream(id) == nil ? nil : .control(frame)
        case .reset(let id, _):
            guard let stream = try stream(id) else { return nil }
            remove(stream)
            return .control(frame)
        case .calls, .verdicts, .head, .policy, .bundle, .goodbye, .state: return .control(frame)
        }
    }

    /// Nil for a stream that has been, and is gone: its last frames may still have been on their way.
    private func stream(_ id: StreamID) throws(SessionError) -> SessionStream? {
        if let stream = streams[id.number] { return stream }
        let hasBeen = isLocal(id) ? id.number < nextLocalStream : id.number <= lastRemoteStream
        guard hasBeen, id.number > 0 else { throw .unexpectedStream(id) }
        return nil
    }

    private mutating func readData(
        _ id: StreamID, _ body: UnsafeRawBufferPointer, _ range: Range<Int>, at now: MonotonicTime
    ) throws(SessionError) -> SessionEvent? {
        guard let stream = try stream(id) else { return nil }
        guard !stream.hasReceivedEnd, !stream.isDatagram else { throw .unexpectedStream(id) }
        guard stream.window.receive(body.count, at: now) else { throw .creditExceeded(id) }
        guard !body.isEmpty else { return nil }
        guard let permit = stream.permit else { return hold(stream, body.count) { $0.bytes += body } }
        guard permit.admitReceived(body.count) else { return refuse(stream, .policy) }
        return .data(id, range)
    }

    private mutating func readDatagram(
        _ id: StreamID, _ body: UnsafeRawBufferPointer, _ range: Range<Int>
    ) throws(SessionError) -> SessionEvent? {
        guard let stream = try stream(id) else { return nil }
        guard stream.isDatagram, body.count <= Limits.datagramBytesMaximum else {
            throw .unexpectedStream(id)
        }
        guard let permit = stream.permit else {
            if let held = stream.held, held.datagrams.count >= Limits.waitingDatagramsMaximum {
                heldByteCount -= held.datagrams[0].count
                stream.held?.datagrams.removeFirst()
                counters.datagramsDropped &+= 1
            }
            return hold(stream, body.count) { $0.datagrams.append(Array(body)) }
        }
        guard permit.admitReceived(body.count) else { return refuse(stream, .policy) }
        return .datagram(id, range)
    }

    private mutating func readEnd(_ id: StreamID) throws(SessionError) -> SessionEvent? {
        guard let stream = try stream(id) else { return nil }
        guard !stream.hasReceivedEnd else { throw .unexpectedStream(id) }
        stream.hasReceivedEnd = true
        guard stream.permit != nil else { return hold(stream, 0) { $0.hasEnded = true } }
        if stream.hasEnded { remove(stream) }
        return .end(id)
    }

    private mutating func readCredit(
        _ id: StreamID, _ body: UnsafeRawBufferPointer
    ) throws(SessionError) -> SessionEvent? {
        guard body.count >= 4 else { throw .malformedFrame(type: FrameType.credit.rawValue) }
        guard let stream = try stream(id) else { return nil }
        stream.sendCredit += Int(body.bigEndian(at: 0, as: UInt32.self))
        guard stream.sendCredit <= Int(UInt32.max) else {
            throw .malformedFrame(type: FrameType.credit.rawValue)
        }
        return .credit(id)
    }

    /// Keeps what came for a stream that isn't attached yet; the window bounds each, the session all.
    private mutating func hold(
        _ stream: SessionStream, _ count: Int, _ change: (inout HeldPayload) -> Void
    ) -> SessionEvent? {
        guard heldByteCount + count <= Limits.sessionHeldBytesMaximum else { return refuse(stream, .limit) }
        heldByteCount += count
        var held = stream.held ?? HeldPayload()
        stream.held = nil
        change(&held)
        stream.held = held
        return nil
    }

    private mutating func refuse(_ stream: SessionStream, _ reason: CloseReason) -> SessionEvent {
        reset(stream.id, reason)
        return .cut(stream.id, reason)
    }
}
