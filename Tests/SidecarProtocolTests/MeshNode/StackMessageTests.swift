import SidecarProtocol
import Testing

@Suite("Messages between sidecar and userland stack")
struct StackMessageTests {
    static let tuple = FourTuple(
        source: IPv4Endpoint(IPv4Address(198, 18, 5, 6), 40_000),
        destination: IPv4Endpoint(IPv4Address(198, 18, 7, 8), 80))

    static var reports: [StackReport] {
        var counters = StackCounters()
        counters.frames = 1
        counters.unreported = .max
        return [
            .ready, .question(StackQuestionID(number: 1), tuple), .flow(StackQuestionID(number: .max), tuple),
            .datagram(tuple, []), .datagram(tuple, [1, 2, 3]), .counters(counters),
            .egress(EgressReport(.tcp, tuple, .opened)),
            .egress(EgressReport(.udp, tuple, .refused(.limit, attempts: .max))),
            .egress(
                EgressReport(.tcp, tuple, .closed(.revoked, sent: 1, received: .max, milliseconds: 3))),
        ]
    }

    static var commands: [StackCommand] {
        [
            .answer(StackQuestionID(number: 7), .open), .answer(StackQuestionID(number: 7), .wait),
            .serve(tuple.destination), .withdraw(tuple.destination),
            .datagram(tuple, [9]), .unreachable(tuple), .reset(tuple),
            .allow(tuple.destination, .tcp, until: nil),
            .allow(tuple.destination, .udp, until: MonotonicTime(nanoseconds: 5)),
            .revoke(tuple.destination, .tcp),
        ]
    }

    @Test("reports and commands survive their encoding, within the limit")
    func roundTrip() throws {
        for report in Self.reports { #expect(try StackReport(report.encoded()[...]) == report) }
        for command in Self.commands { #expect(try StackCommand(command.encoded()[...]) == command) }
        let largest = StackReport.datagram(
            Self.tuple, Array(repeating: 1, count: Limits.datagramBytesMaximum))
        #expect(try StackReport(largest.encoded()[...]) == largest)
        #expect(largest.encoded().count <= Limits.stackMessageBytesMaximum)
    }

    @Test("a datagram longer than UDP carries is refused")
    func datagramIsBounded() {
        let bytes = Array(repeating: UInt8(1), count: Limits.datagramBytesMaximum + 1)
        #expect(throws: StackMessageError.malformed(kind: 4)) {
            try StackReport(StackReport.datagram(Self.tuple, bytes).encoded()[...])
        }
        #expect(throws: StackMessageError.malformed(kind: 4)) {
            try StackCommand(StackCommand.datagram(Self.tuple, bytes).encoded()[...])
        }
    }

    @Test("another version, a missing or an added byte, and the other direction's kinds are refused")
    func flaws() {
        #expect(throws: StackMessageError.empty) { try StackReport([1]) }
        #expect(throws: StackMessageError.version(2)) { try StackReport([2, 1]) }
        for report in Self.reports {
            let bytes = report.encoded()
            if case .datagram = report { continue }
            #expect(throws: StackMessageError.self) { try StackReport(bytes.dropLast()) }
            #expect(throws: StackMessageError.malformed(kind: bytes[1])) { try StackReport(bytes + [0]) }
            #expect(throws: StackMessageError.malformed(kind: bytes[1])) { try StackCommand(bytes[...]) }
        }
        for command in Self.commands {
            let bytes = command.encoded()
            if case .datagram = command { continue }
            #expect(throws: StackMessageError.malformed(kind: bytes[1])) {
                try StackCommand(bytes.dropLast())
            }
            #expect(throws: StackMessageError.malformed(kind: bytes[1])) { try StackCommand(bytes + [0]) }
            #expect(throws: StackMessageError.malformed(kind: bytes[1])) { try StackReport(bytes[...]) }
        }
    }

    @Test("no bytes break either reader, and what is read has one encoding")
    func mutation() {
        var numbers = SeededNumbers(state: 5)
        let samples = Self.reports.map { $0.encoded() } + Self.commands.map { $0.encoded() }
        for round in 0..<30_000 {
            let bytes = numbers.mutated(samples[round % samples.count])
            if let report = try? StackReport(bytes[...]) { #expect(report.encoded() == bytes) }
            if let command = try? StackCommand(bytes[...]) { #expect(command.encoded() == bytes) }
        }
    }
}
