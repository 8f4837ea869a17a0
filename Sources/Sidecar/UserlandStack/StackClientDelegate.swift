import Glibc
import SidecarProtocol
import Transport

/// What the workload does through its TAP. All calls come on the client's event loop.
package protocol StackClientDelegate: AnyObject {
    /// The workload opens a TCP connection to a virtual address, which is held until `answer`: within
    /// `Limits.stackAnswerTime`, or, after `wait`, within `Limits.stackWaitTime`.
    func stack(
        _ stack: StackClient, asks id: StackQuestionID, from source: Endpoint, to destination: Endpoint)
    /// A connection that was answered with `open` is established. `flow` is a connected, non-blocking unix
    /// stream socket, and the delegate's to close: end-of-file, half-close and reset pass through it.
    func stack(
        _ stack: StackClient, opened flow: CInt, for id: StackQuestionID, from source: Endpoint,
        to destination: Endpoint)
    /// The workload sent a datagram to a virtual address; answer with `send` or `refuse`, or not at all.
    func stack(
        _ stack: StackClient, received datagram: [UInt8], from source: Endpoint, to destination: Endpoint)
    /// A flow out of the mesh was opened, refused or closed.
    func stack(_ stack: StackClient, reports egress: EgressReport)
    func stack(_ stack: StackClient, counts counters: StackCounters)
    /// The process is gone, and the egress flows and unanswered questions with it. Flows that were handed
    /// over end by themselves. It starts again with the next frame.
    func stack(_ stack: StackClient, ended reason: String)
}

extension EgressReport {
    /// What the core hears of it.
    package var input: MeshInput {
        let (source, destination) = (Endpoint(tuple.source), Endpoint(tuple.destination))
        return switch event {
        case .opened:
            .egressAttempted(source: source, destination: destination, flowProtocol, isAllowed: true)
        case .refused:
            .egressAttempted(source: source, destination: destination, flowProtocol, isAllowed: false)
        case .closed(let end, let sent, let received, _):
            .egressEnded(
                source: source, destination: destination, flowProtocol, sent: sent, received: received,
                end.reason)
        }
    }
}

extension EgressReport.End {
    var reason: CloseReason {
        switch self {
        case .finished: .finished
        case .revoked: .policy
        case .idle: .idle
        }
    }
}

extension Endpoint {
    package init(_ endpoint: IPv4Endpoint) {
        self.init(IPAddress(v4: endpoint.address.number), endpoint.port)
    }
}

extension IPv4Endpoint {
    /// Nil for IPv6.
    package init?(_ endpoint: Endpoint) {
        guard let number = endpoint.address.v4 else { return nil }
        self.init(IPv4Address(number: number), endpoint.port)
    }
}

extension FourTuple {
    init?(_ source: Endpoint, _ destination: Endpoint) {
        guard let source = IPv4Endpoint(source), let destination = IPv4Endpoint(destination) else {
            return nil
        }
        self.init(source: source, destination: destination)
    }
}

/// What starts the userland stack's process, and ends it: the launcher, since a sidecar may execute nothing.
package protocol StackStarter: AnyObject {
    /// - Parameter channel: the process's end, which stays the caller's.
    func startStack(channel: CInt) throws(SystemError)
    /// Ends the process that was started last, whatever it is doing.
    func endStack()
}
