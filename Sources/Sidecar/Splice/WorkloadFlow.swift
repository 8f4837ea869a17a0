import NIOCore
import SidecarProtocol
import Transport

/// The session's side of a stream.
protocol StreamLink: AnyObject {
    /// False: it holds these bytes, and wants no more before `becameSendable`.
    func write(_ bytes: ByteBuffer, on stream: StreamID) -> Bool
    func writeDatagram(_ bytes: ByteBuffer, on stream: StreamID)
    func finish(_ stream: StreamID)
    func reset(_ stream: StreamID, _ reason: CloseReason)
    func consumed(_ count: Int, on stream: StreamID)
}

extension PeerLink: StreamLink {}

/// One flow of the workload, as the event loop holds it: a TCP connection or a UDP association, spliced
/// onto a stream of a session. Everything happens on the event loop.
protocol WorkloadFlow: StreamEnd {
    var handle: FlowHandle { get }

    /// The flow's bytes may move from now on, as `stream` of `link`, which checks the permit.
    func join(_ link: any StreamLink, _ stream: StreamID)

    /// Ends the flow at once, by a decision of this sidecar or a reset of the peer's: the workload sees a
    /// reset. Nothing is reported any more.
    func cut(_ reason: CloseReason)
}

/// A flow of datagrams, which ends by not being used.
protocol Association: WorkloadFlow {
    func isIdle(at now: MonotonicTime) -> Bool

    /// Ends it as idle, at both ends.
    func expire()
}

/// Who keeps the flows.
protocol FlowOwner: AnyObject {
    /// The workload's connection is there. Addresses are nil where the workload has closed it already.
    func flowActive(_ flow: FlowChannel, local: Endpoint?, remote: Endpoint?)

    /// The workload, or the peer's, ended the flow. Called once a flow, and never after `cut`.
    func flowEnded(_ flow: any WorkloadFlow, _ reason: CloseReason)
}
