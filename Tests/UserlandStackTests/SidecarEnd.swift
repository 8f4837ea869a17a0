import CLinuxShims
import Glibc
import SidecarProtocol

/// The sidecar's end of a channel, without a sidecar: what the stack reports, with descriptors, in order.
final class SidecarEnd {
    private let descriptor: Int32
    private(set) var reports: [StackReport] = []
    private(set) var isEnded = false
    /// The flows that were handed over and not yet taken.
    private var flows: [(tuple: FourTuple, descriptor: Int32)] = []
    private var buffer = [UInt8](repeating: 0, count: Limits.stackMessageBytesMaximum)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { for flow in flows { close(flow.descriptor) } }

    func send(_ command: StackCommand) { sendBytes(command.encoded()) }

    func sendBytes(_ bytes: [UInt8]) { _ = mesh_send(descriptor, bytes, bytes.count, nil, 0) }

    /// The next report for which `select` has a value, those before it kept in `reports`; nil after a while
    /// without one.
    func next<T>(_ select: (StackReport) -> T?) -> T? {
        while let report = receive(within: 10_000) {
            reports.append(report)
            if let value = select(report) { return value }
        }
        return nil
    }

    /// The next question, answered.
    func question(_ answer: StackAnswer) -> FourTuple? {
        guard
            let (id, tuple) = next({ if case .question(let id, let tuple) = $0 { (id, tuple) } else { nil } })
        else { return nil }
        send(.answer(id, answer))
        return tuple
    }

    /// The next flow's descriptor and addresses; the descriptor is the caller's.
    func flow() -> (tuple: FourTuple, descriptor: Int32)? {
        if flows.isEmpty { _ = next { if case .flow = $0 { true } else { nil } } }
        return flows.isEmpty ? nil : flows.removeFirst()
    }

    func datagram() -> (FourTuple, [UInt8])? {
        next { if case .datagram(let tuple, let data) = $0 { (tuple, data) } else { nil } }
    }

    func egress() -> EgressReport? {
        next { if case .egress(let report) = $0 { report } else { nil } }
    }

    /// Nil when nothing comes in time, or the stack has ended.
    func receive(within milliseconds: Int32) -> StackReport? {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, milliseconds) == 1 else { return nil }
        var flow: Int32 = -1
        var count = 0
        var sender: pid_t = 0
        let size = mesh_receive(descriptor, &buffer, buffer.count, &flow, 1, &count, &sender)
        guard size > 0, let report = try? StackReport(buffer[0..<size]) else {
            isEnded = size == 0
            return nil
        }
        if case .flow(_, let tuple) = report, count == 1 { flows.append((tuple, flow)) }
        return report
    }
}
