extension Session {
    /// Payloads up to this size are copied and leave with the small frames of this turn; larger ones
    /// become records of their own, from where they lie.
    package static let coalescedBytesMaximum = 2_048

    /// The room that `send` of a payload may take in the output, with all that is pending.
    package func room(forPayload count: Int) -> Int {
        let records = count / FrameHeader.bodyBytesMaximum + 1
        return flushByteCount + count + records * Session.recordOverhead
    }

    static let recordOverhead = 2 + FrameHeader.byteCount + ChaChaPoly.tagByteCount

    /// What `flush` will write.
    package var flushByteCount: Int {
        rawOutput.count + (isEstablished ? pending.sealedByteCount : 0)
    }

    /// Sends as much of `payload` as the stream has credit for.
    ///
    /// - Parameter out: at least `room(forPayload:)` bytes.
    package mutating func send(
        _ payload: UnsafeRawBufferPointer, on id: StreamID, into out: UnsafeMutableRawBufferPointer
    ) throws(SessionError) -> SendOutcome {
        guard isEstablished, let stream = streams[id.number], !stream.hasSentEnd, let permit = stream.permit
        else { return .gone }
        let count = min(payload.count, stream.sendCredit)
        guard permit.admitSent(count) else { return cut(stream) }
        guard count > 0 else { return .sent(taken: 0, written: 0) }
        stream.sendCredit -= count
        let written = try seal(.data, id, payload.slice(0..<count), into: out)
        return .sent(taken: count, written: written)
    }

    /// Sends one datagram, whole. It needs no credit.
    ///
    /// - Parameter out: at least `room(forPayload:)` bytes.
    package mutating func sendDatagram(
        _ payload: UnsafeRawBufferPointer, on id: StreamID, into out: UnsafeMutableRawBufferPointer
    ) throws(SessionError) -> SendOutcome {
        guard isEstablished, payload.count <= Limits.datagramBytesMaximum,
            let stream = streams[id.number], stream.isDatagram, let permit = stream.permit
        else { return .gone }
        guard permit.admitSent(payload.count) else { return cut(stream) }
        return .sent(taken: payload.count, written: try seal(.datagram, id, payload, into: out))
    }

    /// How many more bytes the stream may send.
    package func sendCredit(on id: StreamID) -> Int { streams[id.number]?.sendCredit ?? 0 }

    /// Sends a control frame. `open`, and ends of streams, have calls of their own.
    package mutating func send(_ frame: ControlFrame) {
        switch frame {
        case .reset(let stream, let reason): reset(stream, reason)
        case .accepted(let stream):
            guard streams[stream.number] != nil else { return }
            frame.encode(into: &pending)
        case .open, .calls, .verdicts, .head, .policy, .bundle, .goodbye, .state: frame.encode(into: &pending)
        }
    }

    /// Writes everything that is pending.
    ///
    /// - Parameter out: at least `flushByteCount` bytes.
    /// - Returns: the bytes written.
    package mutating func flush(into out: UnsafeMutableRawBufferPointer) throws(SessionError) -> Int {
        var written = rawOutput.count
        if written > 0 {
            out.copyBytes(from: rawOutput)
            rawOutput = []
            counters.bytesSent &+= UInt64(written)
        }
        guard isEstablished, !pending.isEmpty else { return written }
        var frames = PendingFrames()
        swap(&frames, &pending)
        var start = 0
        for record in frames.records {
            written += try frames.bytes.withBytes { (bytes) throws(SessionError) in
                try sealRecord(
                    header: .empty, payload: bytes.slice(start..<record.end),
                    into: UnsafeMutableRawBufferPointer(rebasing: out[written...]))
            }
            start = record.end
            if record.endsKey, let next = nextSend {
                transport?.send = next
                nextSend = nil
            }
        }
        frames.removeAll()
        swap(&frames, &pending)
        return written
    }

    // MARK: Sealing

    private mutating func cut(_ stream: SessionStream) -> SendOutcome {
        reset(stream.id, .policy)
        return .notPermitted
    }

    private mutating func seal(
        _ type: FrameType, _ id: StreamID, _ payload: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(SessionError) -> Int {
        guard payload.count > Session.coalescedBytesMaximum else {
            pending.append(type, id, payload)
            return 0
        }
        var written = try flush(into: out)
        // Parts of equal length: a last one of a few bytes would cost as much as a whole record.
        let parts = (payload.count + FrameHeader.bodyBytesMaximum - 1) / FrameHeader.bodyBytesMaximum
        let length = (payload.count + parts - 1) / parts
        for start in stride(from: 0, to: payload.count, by: length) {
            let part = payload.slice(start..<min(start + length, payload.count))
            written += try FrameHeader(type, id, count: part.count).withBytes {
                (header) throws(SessionError) in
                try sealRecord(
                    header: header, payload: part,
                    into: UnsafeMutableRawBufferPointer(rebasing: out[written...]))
            }
        }
        return written
    }

    /// The record's bytes on the wire: length, ciphertext, tag.
    private mutating func sealRecord(
        header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(SessionError) -> Int {
        let length = header.count + payload.count + ChaChaPoly.tagByteCount
        out.storeBytes(of: UInt16(length).bigEndian, as: UInt16.self)
        do {
            try transport?.send.seal(
                header: header, payload: payload,
                into: UnsafeMutableRawBufferPointer(rebasing: out[2..<2 + length]))
        } catch { throw .record(error) }
        counters.recordsSent &+= 1
        counters.bytesSent &+= UInt64(2 + length)
        return 2 + length
    }
}
