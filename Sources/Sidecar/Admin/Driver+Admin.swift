// The admin socket's answers.

import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    func respond(to request: AdminRequest, _ answer: @escaping (AdminResponse) -> Void) {
        switch (request.method, request.path) {
        case (.post, "/ping"): ping(request.body, answer)
        case (.post, "/drill"): startDrill(request.body, answer)
        default: answer(respond(to: request))
        }
    }

    private func respond(to request: AdminRequest) -> AdminResponse {
        switch (request.method, request.path) {
        case (.get, "/live"): return .text(200, "live")
        case (.get, "/ready"):
            return stage == .ready && isCertified ? .text(200, "ready") : .text(503, "not ready")
        case (.get, "/metrics"):
            return AdminResponse(
                status: 200, contentType: MetricsText.contentType, body: Array(metricsText().utf8))
        case (.get, "/flows"): return flowsAnswer()
        case (.get, "/config"): return configurationAnswer()
        case (.get, "/status"): return statusAnswer()
        case (.get, "/identity"): return identityAnswer()
        case (.post, "/renew"): return renewAnswer()
        case (.get, "/certificates"): return certificatesAnswer()
        case (.post, "/reload"): return reload(request.body)
        case (.post, "/shutdown"): return shutDown()
        case (.get, "/reload"), (.get, "/shutdown"), (.get, "/renew"), (.get, "/ping"), (.get, "/drill"):
            return .text(405, "\(request.path) takes POST")
        case (.post, "/live"), (.post, "/ready"), (.post, "/metrics"), (.post, "/flows"),
            (.post, "/config"), (.post, "/status"), (.post, "/identity"), (.post, "/certificates"):
            return .text(405, "\(request.path) takes GET")
        default:
            return .text(
                404,
                "\(request.path) isn't here; there are GET /live /ready /metrics /flows /config /status "
                    + "/identity /certificates and POST /reload /renew /shutdown /ping /drill")
        }
    }

    var isCertified: Bool {
        guard let credential = credentials?.current else { return false }
        return Now.current().wall < credential.validUntil
    }

    // MARK: Flows and configuration

    private func flowsAnswer() -> AdminResponse {
        let live = node.liveFlows(at: Now.current())
        return .json { json in
            json.member("flows", array: live) { writer, record in
                writer.object { record.write(to: &$0) }
            }
        }
    }

    private func configurationAnswer() -> AdminResponse {
        let configuration = node.configuration
        return .json { json in
            json.member("config_path", launch.configurationPath)
            configuration.write(to: &json)
        }
    }

    // MARK: Changes

    /// Takes over a configuration's canonical form, or says why not and changes nothing.
    private func reload(_ body: [UInt8]) -> AdminResponse {
        let new: WorkloadConfiguration
        do {
            new = try WorkloadConfiguration(canonical: body)
        } catch {
            return .text(400, "the body isn't a configuration in canonical form: \(error)")
        }
        let old = node.configuration
        let fixed = old.fixedKeysChanged(in: new)
        guard fixed.isEmpty else {
            return .text(409, "\(fixed.joined(separator: ", ")): only a new start can change this")
        }
        let changed = old.liveKeysChanged(in: new)
        if !changed.isEmpty {
            feed(.configuration(new))
            if new.records == .required { records.begin() }
            exportSpans()
            do {
                try SmallFile.write(body, to: instanceFolder + "/" + MeshPaths.configurationName)
            } catch {
                logger.error("the reloaded configuration isn't kept for a replaced sidecar: \(error)")
            }
            logger.info("configuration reloaded: \(changed.joined(separator: ", "))")
        }
        return .json { $0.member("changed", strings: changed) }
    }

    /// The launcher passes the signal on to the workload, and ends the sidecar once that has ended.
    private func shutDown() -> AdminResponse {
        let launcher = getppid()
        guard launcher > 1, kill(launcher, SIGTERM) == 0 else {
            return .text(500, "mesh-launch can't be told: \(SystemError("kill(\(launcher))"))")
        }
        return .json { $0.member("launcher_pid", launcher) }
    }
}

extension WorkloadConfiguration {
    /// Every key, spelled as in the config file.
    fileprivate func write(to json: inout JSONWriter) {
        json.member("workload", workload.name)
        json.member("namespace", workload.namespace)
        json.member("named", isNamed)
        json.member("version", version)
        json.member("command", strings: command)
        json.member("user", user.spelling)
        json.member("serves", array: serves) { writer, port in
            writer.object {
                $0.member("port", port.port)
                $0.member("protocol", port.protocol.description)
            }
        }
        json.member("accepts", array: accepts) { writer, accept in
            writer.object {
                $0.member("from", accept.from.description)
                $0.member("ports", array: accept.ports) { $0.value($1) }
            }
        }
        json.member(
            "calls",
            strings: calls.map { call in call.port.map { "\(call.target):\($0)" } ?? "\(call.target)" })
        json.member("egress", strings: egress.map { "\($0.host):\($0.port)" })
        json.member("datapath", datapath.rawValue)
        json.member("consistency", consistency.rawValue)
        json.member("sockets", strings: sockets)
        json.member("listen", strings: listen)
        json.member("advertise", strings: advertise)
        json.member("records", records.rawValue)
        json.member("otlp", telemetry?.description)
    }
}
