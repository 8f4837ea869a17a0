import SidecarProtocol
import Testing

@Suite("Records that wait for the disk")
struct RecordBacklogTests {
    private let room = 16

    private func record(_ second: Int64) -> FlowRecord {
        FlowRecord(
            time: WallTime(seconds: second), event: .open, flow: nil, direction: .outbound,
            port: ServicePort(80, .tcp), source: .init(identity: "", version: "", endpoint: nil),
            destination: .init(identity: "", version: "", endpoint: nil), isAllowed: true, rule: "",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 1, count: 32))!, decisionEpoch: 1,
            bytesSent: 0, bytesReceived: 0, durationMilliseconds: 0, reason: nil)
    }

    private func append(_ second: Int64, _ backlog: inout RecordBacklog) -> Bool {
        backlog.append(record(second))
    }

    private func filled(_ count: Int) -> RecordBacklog {
        var backlog = RecordBacklog(room: room)
        for second in 0..<count { #expect(append(Int64(second), &backlog) == true) }
        return backlog
    }

    @Test("as many wait as there is room for; one more is lost, and counted in a gap")
    func limit() throws {
        var backlog = filled(room)
        #expect(backlog.gap == nil)
        #expect(append(100, &backlog) == false)
        #expect(append(120, &backlog) == false)
        let expected = RecordGap(
            cause: .queue, lost: 2, from: WallTime(seconds: 100), until: WallTime(seconds: 120))
        #expect(backlog.gap == expected)
        let taken = backlog.take()
        #expect(taken.records.count == room && taken.gap == expected)
        #expect(backlog.gap == nil)
        // What was taken isn't written yet, and still takes room.
        #expect(append(130, &backlog) == false)
        backlog.settle(written: 1, unwritten: nil, isRefused: false)
        #expect(append(131, &backlog) == true)
    }

    @Test("three quarters of the room press, half of it no longer")
    func pressed() {
        var backlog = filled(11)
        #expect(!backlog.isPressed)
        #expect(append(0, &backlog) == true)
        #expect(backlog.isPressed)
        _ = backlog.take()
        backlog.settle(written: 4, unwritten: nil, isRefused: false)
        #expect(backlog.isPressed)
        backlog.settle(written: 1, unwritten: nil, isRefused: false)
        #expect(!backlog.isPressed)
    }

    @Test("a disk that refuses presses, whatever room there is, until it takes lines again")
    func refused() {
        var backlog = filled(1)
        _ = backlog.take()
        backlog.settle(written: 0, unwritten: nil, isRefused: true)
        #expect(backlog.isPressed)
        backlog.settle(written: 1, unwritten: nil, isRefused: false)
        #expect(!backlog.isPressed && backlog.count == 0)
    }

    @Test("a gap that isn't written yet grows with what is lost meanwhile, and says that the disk was why")
    func gaps() {
        var backlog = filled(room)
        #expect(append(50, &backlog) == false)
        let gap = backlog.take().gap
        #expect(gap?.cause == .queue)
        backlog.settle(written: 0, unwritten: gap, isRefused: true)
        #expect(append(60, &backlog) == false)
        #expect(
            backlog.gap
                == RecordGap(
                    cause: .disk, lost: 2, from: WallTime(seconds: 50), until: WallTime(seconds: 60)))
    }
}
