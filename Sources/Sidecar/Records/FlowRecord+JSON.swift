import SidecarProtocol
import Transport

extension FlowRecord {
    /// The record's members, as lines of a records file and `GET /flows` show them.
    func write(to json: inout JSONWriter) {
        json.member("time", time.rfc3339)
        json.member("event", event.rawValue)
        json.member("flow_id", hex: flow?.bytes)
        json.member("direction", direction.rawValue)
        json.member("protocol", port.protocol.description)
        json.member("port", port.port)
        json.member("src") { source.write(to: &$0) }
        json.member("dst") { destination.write(to: &$0) }
        json.member("verdict", isAllowed ? "allow" : "deny")
        json.member("rule", rule)
        json.member("policy") { policy in
            policy.member("name", "config")
            policy.member("head") { head.write(to: &$0) }
        }
        json.member("decision_epoch", decisionEpoch)
        json.member("bytes_sent", bytesSent)
        json.member("bytes_recv", bytesReceived)
        json.member("duration_ms", durationMilliseconds)
        json.member("reason", reason?.name)
    }
}

extension FlowRecord.End {
    fileprivate func write(to json: inout JSONWriter) {
        json.member("identity", identity)
        json.member("version", version)
        json.member("addr", endpoint?.description)
    }
}

extension PolicyHead {
    func write(to json: inout JSONWriter) {
        json.member("epoch", epoch)
        json.member("hash", hex: hash)
    }
}
