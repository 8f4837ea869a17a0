// Ended flows to a collector, by OTLP over HTTP. Where the config names none, nothing of this is made.

import NIOCore
import SidecarProtocol
import Transport

/// Posts spans from the event loop, one request at a time, beside the traffic: it never waits for the
/// collector. What finds no room is dropped and counted (`SpanQueue`).
final class SpanExporter {
    let endpoint: TelemetryEndpoint
    private let source: SpanSource
    private let loop: any EventLoop
    private let warn: (String) -> Void
    private(set) var queue = SpanQueue()
    private var timer: Scheduled<Void>?
    private var isFailing = false
    /// To be called once nothing waits any more.
    private var drained: (() -> Void)?

    /// - Parameter warn: called when the collector begins to fail, and when it takes spans again.
    init(
        _ endpoint: TelemetryEndpoint, source: SpanSource, on loop: any EventLoop,
        warn: @escaping (String) -> Void
    ) {
        self.endpoint = endpoint
        self.source = source
        self.loop = loop
        self.warn = warn
    }

    func append(_ record: FlowRecord) {
        guard queue.append(record, at: Now.current().monotonic), timer == nil else { return }
        arm()
    }

    /// Sends what waits, and calls back once that is answered, or the time is over.
    func drain(atMost patience: TimeAmount, _ completion: @escaping () -> Void) {
        guard !queue.isEmpty else { return completion() }
        drained = completion
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: patience) { bound.value.concludeDrain() }
        if !queue.isSending { sendNext() }
    }

    private func concludeDrain() {
        let completion = drained
        drained = nil
        completion?()
    }

    // MARK: Requests

    private func arm() {
        guard let deadline = queue.deadline else { return }
        let span = deadline - Now.current().monotonic
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(in: .nanoseconds(Int64(clamping: span.nanoseconds))) {
            bound.value.timer = nil
            bound.value.sendNext()
        }
    }

    private func sendNext() {
        let records = queue.take(at: Now.current().monotonic, isLast: drained != nil)
        guard !records.isEmpty else {
            if timer == nil { arm() }
            return
        }
        resolve { [self] address in
            guard let address else { return replied(.later, why: "\(endpoint.host) can't be resolved") }
            HTTPPost(
                address: address, authority: endpoint.authority, path: endpoint.path,
                contentType: "application/x-protobuf", body: FlowSpans.request(records, from: source)
            ).send(on: loop, patience: Limits.spanPatience) { [self] status in
                guard let status else { return replied(.later, why: "it doesn't answer") }
                replied(SpanQueue.reply(status: status), why: "it answered \(status)")
            }
        }
    }

    private func replied(_ reply: SpanQueue.Reply, why: String) {
        queue.replied(reply, at: Now.current().monotonic)
        let fails = reply != .taken
        if fails != isFailing {
            isFailing = fails
            warn(fails ? "spans aren't taken by \(endpoint): \(why)" : "spans are taken by \(endpoint) again")
        }
        if drained != nil {
            // There is no time to try again.
            if queue.isEmpty || fails { return concludeDrain() }
            return sendNext()
        }
        if timer == nil { arm() }
    }

    private func resolve(_ completion: @escaping (SocketAddress?) -> Void) {
        if let literal = try? SocketAddress(ipAddress: endpoint.host, port: Int(endpoint.port)) {
            return completion(literal)
        }
        let bound = NIOLoopBound((self, completion), eventLoop: loop)
        HostResolver.resolve(endpoint.host) { [loop] addresses in
            loop.execute {
                let (exporter, completion) = bound.value
                let port = Int(exporter.endpoint.port)
                completion(
                    addresses.first.flatMap { try? SocketAddress(ipAddress: $0.description, port: port) })
            }
        }
    }
}
