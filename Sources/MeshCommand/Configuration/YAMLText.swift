// From a `WorkloadConfiguration` to a config file that says every key.

import SidecarProtocol

package enum YAMLText {
    /// A config file that compiles to `configuration` again.
    package static func file(_ configuration: WorkloadConfiguration) -> String {
        let user = configuration.user.spelling
        let made = configuration.isNamed ? "" : "  # made up: it may call, but not serve"
        return """
            mesh: 1
            workload: \(scalar(configuration.workload.name))\(made)
            namespace: \(scalar(configuration.workload.namespace))
            version: \(scalar(configuration.version))
            command: [\(configuration.command.map(scalar).joined(separator: ", "))]
            user: \(user.isEmpty ? "auto" : scalar(user))
            serves:\(list(configuration.serves.map { "{port: \($0.port), protocol: \($0.protocol)}" }))
            accepts:\(list(configuration.accepts.map(accept)))
            calls:\(list(configuration.calls.map(call)))
            egress:\(list(configuration.egress.map { scalar($0.spelling) }))
            datapath: \(configuration.datapath.rawValue)
            consistency: \(configuration.consistency.rawValue)
            fsync: \(configuration.state.fsync.rawValue)
            conditional: \(configuration.state.conditional.rawValue)
            memory: \(configuration.state.memory)
            sockets:\(list(configuration.sockets.map(scalar)))
            listen:\(list(configuration.listen.map(scalar)))
            advertise:\(list(configuration.advertise.map(scalar)))
            records: \(configuration.records.rawValue)
            otlp: \(configuration.telemetry.map { scalar($0.description) } ?? "none")

            """
    }

    private static func list(_ entries: [String]) -> String {
        entries.isEmpty ? " []" : entries.map { "\n  - \($0)" }.joined()
    }

    private static func accept(_ accept: WorkloadConfiguration.Accept) -> String {
        let from = scalar(accept.from.description)
        guard !accept.ports.isEmpty else { return "{from: \(from)}" }
        return "{from: \(from), ports: [\(accept.ports.map(String.init).joined(separator: ", "))]}"
    }

    private static func call(_ call: WorkloadConfiguration.Call) -> String {
        scalar(call.target.description + (call.port.map { ":\($0)" } ?? ""))
    }

    /// `text` as a YAML scalar: plain where no reader can take it for something else.
    static func scalar(_ text: String) -> String {
        let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        let plain = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:=+".utf8.contains($0)
            }
        }
        let isPlain =
            plain && !text.isEmpty && !words.contains(text.lowercased())
            && !text.hasPrefix(":") && !text.hasSuffix(":") && text != "-" && !text.hasPrefix("---")
            && text != "..." && text != "="
        return isPlain ? text : "\"\(text.unicodeScalars.map(escaped).joined())\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        func hex(_ digits: Int) -> String {
            let text = String(scalar.value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\t": return "\\t"
        default: break
        }
        switch scalar.value {
        case 0..<0x20, 0x7F...0xA0: return "\\x\(hex(2))"
        case 0x2028, 0x2029, 0xFEFF, 0xFDD0...0xFDEF, 0xFFFE, 0xFFFF: return "\\u\(hex(4))"
        case 0x1_0000... where scalar.value & 0xFFFE == 0xFFFE: return "\\U\(hex(8))"
        default: return String(scalar)
        }
    }
}
