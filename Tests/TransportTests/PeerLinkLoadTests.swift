import NIOCore
import NIOPosix
import Testing

@testable import SidecarProtocol
@testable import Transport

@Suite("Links under load", .timeLimit(.minutes(2)))
struct PeerLinkLoadTests {
    @Test("bulk streams take turns, so that a shorter one ends first")
    func turns() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = ([KeptEnd(), KeptEnd()], [KeptEnd(), KeptEnd()])
        let ids = try (0...1).map { try pair.openStream(to: far[$0], from: near[$0]) }
        let sizes = [16 << 20, 1 << 20]
        try pair.run {
            for (id, size) in zip(ids, sizes) {
                _ = pair.caller.write(ByteBuffer(repeating: 1, count: size), on: id)
                pair.caller.finish(id)
            }
        }
        try pair.until("the shorter one") { far[1].hasEnded }
        try pair.run { #expect(!far[0].hasEnded) }
        try pair.until("the longer one") { far[0].hasEnded && far[0].bytes.count == sizes[0] }
    }

    @Test("keys change again and again while bytes flow in both directions")
    func rekeying() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near)
        let count = 5 << 20
        try pair.until("attached") { pair.callee?.streamCount == 1 }
        try pair.run {
            _ = pair.caller.write(ByteBuffer(repeating: 1, count: count), on: id)
            _ = pair.callee?.write(ByteBuffer(repeating: 2, count: count), on: id)
        }
        for serial in 20..<30 as Range<UInt64> {
            let isCaller = serial % 2 == 0
            let renewed = try pair.domain.credential(
                isCaller ? "client" : "web", key: UInt8(serial), serial: serial)
            try pair.run { (isCaller ? pair.caller : pair.callee)?.renew(renewed) }
            try pair.until("certificate \(serial)") {
                (isCaller ? pair.calleeNotes : pair.callerNotes).renewed.last?.certificate.serial == serial
            }
        }
        try pair.until("all bytes") { far.bytes.count == count && near.bytes.count == count }
        try pair.run {
            let isRight =
                near.bytes == [UInt8](repeating: 2, count: count)
                && far.bytes == [UInt8](repeating: 1, count: count)
            #expect(isRight)
        }
    }

    @Test("a peer that doesn't read what it makes us answer is closed at the limit")
    func unreadAnswers() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let ports = (0..<UInt16(Limits.statedPortsMaximum)).map { $0 + 1_000 }
        try pair.run { try pair.callee?.context?.channel.syncOptions?.setOption(.autoRead, value: false) }
        let sent = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: pair.loop)
        try pair.until("closed") {
            for _ in 0..<200 where pair.callerNotes.closed.isEmpty {
                pair.caller.send(.calls(.ports(ports)))
                sent.value += ports.count * 3
            }
            return !pair.callerNotes.closed.isEmpty
        }
        try pair.run {
            #expect(pair.callerNotes.closed.map(\.0) == [.limit])
            #expect(sent.value > Limits.linkUnsentBytesMaximum)
        }
    }

    @Test("buffers that grew are given back when nothing moves")
    func trimming() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near)
        try pair.run { _ = pair.caller.write(ByteBuffer(repeating: 1, count: 4 << 20), on: id) }
        try pair.until("all bytes") { far.bytes.count == 4 << 20 }
        try pair.until("small buffers") {
            [pair.caller, pair.callee].allSatisfy { link in
                guard let link else { return false }
                return [link.output, link.plaintext, link.partial].allSatisfy {
                    $0.storageCapacity <= PeerLink.retainedBytes
                }
            }
        }
    }

    /// What one end sent on a stream, and how it ended it.
    private final class Script: @unchecked Sendable {
        // Owner: the event loop.
        var sent: [[UInt8]] = [[], []]
        var isFinished = [false, false]
        var resetBy: Int?
    }

    @Test("streams that are written, ended and reset at random deliver what was sent", arguments: 1...4)
    func random(seed: UInt64) throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        var numbers = SplitMixNumbers(state: seed)
        let count = 24
        let ends = (0..<count).map { _ in [KeptEnd(), KeptEnd()] }
        let ids = try (0..<count).map { try pair.openStream(to: ends[$0][1], from: ends[$0][0]) }
        try pair.until("attached") { pair.callee?.streamCount == count }
        let scripts = (0..<count).map { _ in Script() }
        for _ in 0..<600 {
            let index = Int.random(in: 0..<count, using: &numbers)
            let end = Int.random(in: 0...1, using: &numbers)
            let dice = Int.random(in: 0..<40, using: &numbers)
            let size = [1, 100, 2_048, 2_049, 30_000, 70_000, 300_000].randomElement(using: &numbers)!
            let byte = UInt8.random(in: 0...255, using: &numbers)
            let (script, id) = (scripts[index], ids[index])
            try pair.run {
                guard let link = end == 0 ? pair.caller : pair.callee, script.resetBy == nil,
                    !script.isFinished[end], ends[index][end].reset == nil
                else { return }
                switch dice {
                case 0:
                    link.reset(id, .workloadReset)
                    script.resetBy = end
                case 1, 2:
                    link.finish(id)
                    script.isFinished[end] = true
                default:
                    _ = link.write(ByteBuffer(repeating: byte, count: size), on: id)
                    script.sent[end] += [UInt8](repeating: byte, count: size)
                }
            }
        }
        try pair.run {
            for (script, id) in zip(scripts, ids) where script.resetBy == nil {
                for end in 0...1 where !script.isFinished[end] {
                    (end == 0 ? pair.caller : pair.callee)?.finish(id)
                }
            }
        }
        for index in 0..<count {
            try pair.until("stream \(index)") {
                if let by = scripts[index].resetBy {
                    return ends[index][1 - by].reset != nil
                        || ends[index][1 - by].hasEnded && scripts[index].isFinished[1 - by]
                }
                return ends[index].allSatisfy(\.hasEnded)
            }
        }
        try pair.run {
            for (script, ends) in zip(scripts, ends) {
                for end in 0...1 {
                    let isPrefix = script.sent[end].starts(with: ends[1 - end].bytes)
                    #expect(isPrefix)
                    let isWhole = script.sent[end].count == ends[1 - end].bytes.count
                    #expect(isWhole || script.resetBy != nil)
                }
            }
            #expect(pair.caller.streamCount == 0 && pair.callee?.streamCount == 0)
            #expect(pair.callerNotes.closed.isEmpty)
        }
    }
}

/// SplitMix64: the same numbers in every run.
private struct SplitMixNumbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
