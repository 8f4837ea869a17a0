// `POST /ping`: how the sidecar stands to another workload, and how far away it is.

import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    /// - Parameter body: `namespace/name`.
    func ping(_ body: [UInt8], _ answer: @escaping (AdminResponse) -> Void) {
        let text = String(decoding: body, as: UTF8.self)
        let parts = text.split(separator: "/").map(String.init)
        guard parts.count == 2, let name = try? WorkloadName(namespace: parts[0], name: parts[1]) else {
            return answer(.text(400, "\"\(text.prefix(80))\" isn't namespace/name"))
        }
        guard stage == .ready, let view = node.view(of: name, at: Now.current()) else {
            return answer(.text(409, "\(workload) can't ping \(name): it is itself, or isn't ready"))
        }
        guard view.isCalled || view.session != nil else {
            return answer(.text(404, "\(name) is neither in the calls of \(workload) nor connected to it"))
        }
        feed(.wanted(name))
        awaitSession(with: name, until: .now() + Driver.pingPatience, answer)
    }

    private static let pingPatience = TimeAmount.seconds(4)
    private static let pongPatience = TimeAmount.seconds(2)

    /// Until there is a session, and the callee has said what it permits.
    private func awaitSession(
        with name: WorkloadName, until deadline: NIODeadline, _ answer: @escaping (AdminResponse) -> Void
    ) {
        let view = node.view(of: name, at: Now.current())
        let isComplete = view?.session != nil && (view?.outbound != nil || view?.isCalled == false)
        guard !isComplete, .now() < deadline, stage == .ready else { return measure(name, answer) }
        let bound = NIOLoopBound((self, answer), eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(2)) {
            bound.value.0.awaitSession(with: name, until: deadline, bound.value.1)
        }
    }

    private func measure(_ name: WorkloadName, _ answer: @escaping (AdminResponse) -> Void) {
        guard let id = node.view(of: name, at: Now.current())?.session?.link, let link = links[id] else {
            return answer(pingAnswer(name, roundTrip: nil))
        }
        var isAnswered = false
        let finish = { [unowned self] (roundTrip: MonotonicTime.Span?) in
            guard !isAnswered else { return }
            isAnswered = true
            answer(pingAnswer(name, roundTrip: roundTrip))
        }
        link.ping(finish)
        let bound = NIOLoopBound(finish, eventLoop: loop)
        loop.scheduleTask(in: Driver.pongPatience) { bound.value(nil) }
    }

    private func pingAnswer(_ name: WorkloadName, roundTrip: MonotonicTime.Span?) -> AdminResponse {
        let view = node.view(of: name, at: Now.current())
        let link = view?.session.flatMap { links[$0.link] }
        return .json { json in
            json.member("from", workload.description)
            json.member("to", name.description)
            json.member("called", view?.isCalled ?? false)
            json.member("state", view?.state ?? "unknown")
            json.member("announced_at", strings: (view?.endpoints ?? []).map(\.description))
            json.member("endpoint", link?.remoteAddress.flatMap { Endpoint($0) }?.description)
            if let session = view?.session { Driver.write(session, to: &json) }
            if let roundTrip { json.member("round_trip_us", roundTrip.nanoseconds / 1000) }
            if let outbound = view?.outbound {
                json.member("verdicts", array: outbound) { Driver.write($1, to: &$0) }
            }
            json.member("accepts", array: view?.inbound ?? []) { Driver.write($1, to: &$0) }
        }
    }

    private static func write(_ session: PeerView.Session, to json: inout JSONWriter) {
        json.member("session") { json in
            json.member("handshake", "Noise_XK_25519_ChaChaPoly_SHA256")
            json.member("dialled_by", session.isInitiator ? "self" : "peer")
            json.member("age_ms", session.age.milliseconds)
            json.member("flows", session.flowCount)
            json.member("head_equal", session.isHeadEqual)
            json.member("peer_instance", session.certificate.instance?.description)
            json.member("peer_version", session.certificate.workloadVersion)
            json.member("peer_certificate_not_after", session.certificate.notAfter.rfc3339)
        }
    }

    private static func write(_ port: PeerView.Port, to writer: inout JSONWriter) {
        writer.object {
            $0.member("port", port.port.port)
            $0.member("protocol", port.port.protocol.description)
            $0.member("verdict", port.verdict.name)
            $0.member("rule", port.rule)
        }
    }
}
