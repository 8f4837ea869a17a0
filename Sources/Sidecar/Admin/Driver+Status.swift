// `GET /status`: the sidecar at one glance.

import Glibc
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    func statusAnswer() -> AdminResponse {
        let status = node.status
        let credential = credentials?.current
        return .json { json in
            writeSelf(to: &json, credential)
            json.member("certificate") { writeCertificate(to: &$0, credential) }
            json.member("policy_head") { head in status.policy?.head.write(to: &head) }
            json.member("policy") { writePolicy(status.policy, to: &$0) }
            json.member("decision_epoch", node.decisionEpoch.number)
            json.member("serves", strings: node.configuration.serves.map(\.description))
            json.member("peers", array: status.peers) { writer, peer in
                writer.object { self.write(peer, to: &$0) }
            }
            json.member("calls", array: status.calls) { writer, call in
                writer.object { Driver.write(call, to: &$0) }
            }
            json.member("flows_open", status.flowCount)
        }
    }

    private func writeSelf(to json: inout JSONWriter, _ credential: Credential?) {
        let uptime = Now.current().monotonic - startedAt.monotonic
        json.member("identity", credential?.certificate.identity?.description)
        json.member("workload", workload.description)
        json.member("instance", launch.instance.description)
        json.member("incarnation", launch.incarnation)
        json.member("version", node.configuration.version)
        json.member("datapath", network?.datapath.rawValue)
        json.member("ready", stage == .ready && isCertified)
        json.member("address", node.ownAddress?.description)
        json.member("launcher_pid", getppid())
        if let workloadProcess { json.member("workload_pid", workloadProcess) }
        json.member("sidecar_pid", getpid())
        json.member("uptime_seconds", uptime.milliseconds / 1000)
    }

    private func writeCertificate(to json: inout JSONWriter, _ credential: Credential?) {
        guard let certificate = credential?.certificate else { return }
        json.member("not_after", certificate.notAfter.rfc3339)
        json.member("overdue", node.isRenewalAlarming(at: Now.current().wall))
        json.member("renewal_problem", node.renewalProblem)
        json.member("serial", certificate.serial)
        json.member("issuer", certificate.issuerKeyID.hex)
    }

    private func write(_ peer: MeshStatus.Peer, to json: inout JSONWriter) {
        let link = links[peer.link]
        let domain = credentials?.current.certificate.trustDomain ?? ""
        let identity = SPIFFEIdentity(trustDomain: domain, subject: .workload(peer.workload))
        json.member("identity", identity.description)
        json.member("state", peer.state)
        json.member("endpoint", link?.remoteAddress.flatMap { Endpoint($0) }?.description)
        json.member("flows", peer.flows)
        if let roundTrip = link?.roundTrip { json.member("round_trip_us", roundTrip.nanoseconds / 1000) }
    }

    private static func write(_ call: MeshStatus.Call, to json: inout JSONWriter) {
        json.member("target", call.target.description)
        json.member("address", call.address.description)
        json.member("state", call.state)
        json.member("verdicts", array: call.verdicts) { writer, verdict in
            writer.object {
                $0.member("port", verdict.port.port)
                $0.member("protocol", verdict.port.protocol.description)
                $0.member("verdict", verdict.verdict.name)
                $0.member("rule", verdict.rule)
            }
        }
    }
}

extension Verdicts.Verdict {
    var name: String {
        switch self {
        case .deny: "deny"
        case .allow: "allow"
        case .down: "down"
        }
    }
}
