// The values of a workload's configuration, as text: one grammar for the config file (read by `mesh`)
// and for its command-line twins (read by `mesh-launch`), which therefore can't drift apart.

/// A value that the configuration can't hold.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, with the value.
    package let what: String
    /// What to write instead.
    package let fix: String

    package init(_ what: String, fix: String) {
        self.what = what
        self.fix = fix
    }

    package var description: String { "\(what); \(fix)" }
}

extension ServicePort {
    /// `8080` or `8080/udp`, as on the command line.
    package init(parsing text: String) throws(ConfigurationError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let port = try ConfigurationGrammar.port(String(parts[0]))
        guard parts.count <= 2 else {
            throw ConfigurationError("\"\(text)\" is not a port", fix: "write 8080 or 8080/udp")
        }
        let flowProtocol = try ConfigurationGrammar.flowProtocol(parts.count == 2 ? String(parts[1]) : "tcp")
        self.init(port, flowProtocol)
    }
}

extension WorkloadConfiguration.Call {
    /// `web`, `namespace/web` or, to wait for it, `web:8080`.
    ///
    /// - Parameters:
    ///   - namespace: one's own, for a name that gives none.
    ///   - trustDomain: one's own, where it is known.
    package init(parsing text: String, namespace: String, trustDomain: String?) throws(ConfigurationError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let pattern = try ConfigurationGrammar.pattern(
            parts[0], namespace: namespace, trustDomain: trustDomain)
        guard case .exactly(let space) = pattern.namespace, case .exactly(let name) = pattern.name else {
            throw ConfigurationError(
                "\"\(text)\" calls a pattern",
                fix: "name each workload that is called, since * is for accepts")
        }
        self.init(
            target: try ConfigurationGrammar.workload(namespace: space, name: name),
            port: parts.count == 2 ? try ConfigurationGrammar.port(parts[1]) : nil)
    }
}

extension WorkloadConfiguration.Accept {
    /// `client` or `client:8080,8081`, as on the command line.
    package init(parsing text: String, namespace: String, trustDomain: String?) throws(ConfigurationError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        var ports: [UInt16] = []
        if parts.count == 2 {
            for port in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                ports.append(try ConfigurationGrammar.port(String(port)))
            }
        }
        self.init(
            from: try ConfigurationGrammar.pattern(parts[0], namespace: namespace, trustDomain: trustDomain),
            ports: ports)
    }
}

extension WorkloadConfiguration.Egress {
    /// `name:port`, `192.0.2.7:port` or `[2001:db8::7]:port`. The host is kept in lower case, an IPv6
    /// address without its brackets.
    package init(parsing text: String) throws(ConfigurationError) {
        let fix = "write name:port, such as api.example.com:443"
        let (host, port) = try ConfigurationGrammar.hostAndPort(text, fix: fix)
        let name = host.lowercased()
        guard NetworkLiteral.isAddress(name) || NetworkLiteral.isHostName(name)
        else {
            let isPattern = name.utf8.contains(UInt8(ascii: "*"))
            throw ConfigurationError(
                "\"\(host)\" is not a host name or address",
                fix: isPattern ? "list each name, since patterns aren't known here" : fix)
        }
        guard name != "mesh", !name.hasSuffix(".mesh") else {
            throw ConfigurationError(
                "\"\(text)\" is inside the mesh, and egress is for what lies outside",
                fix: "name the workload in calls")
        }
        self.init(host: name, port: port)
    }

    /// As in the config file.
    package var spelling: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension WorkloadConfiguration.User {
    /// `auto`, `keep`, `root` or the name of a Unix user.
    package init(parsing text: String) throws(ConfigurationError) {
        if text == "auto" {
            self = .automatic
            return
        }
        let bytes = Array(text.utf8)
        let isName =
            (1...32).contains(bytes.count) && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[0])
            && bytes[0] != UInt8(ascii: "-")
            && bytes.allSatisfy { NetworkLiteral.isAlphanumeric($0) || "_-.".utf8.contains($0) }
        guard isName else {
            throw ConfigurationError(
                "user \"\(text)\" is not the name of a Unix user",
                fix: "write auto, keep, root or a user's name (not its number)")
        }
        self.init(spelling: text)
    }
}

package enum ConfigurationGrammar {
    /// 1 to 65,535 in decimal digits.
    package static func port(_ text: String) throws(ConfigurationError) -> UInt16 {
        let isDecimal =
            !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isDecimal, let port = UInt16(text), port > 0 else {
            throw ConfigurationError("\"\(text)\" is not a port", fix: "use a number from 1 to 65535")
        }
        return port
    }

    package static func flowProtocol(_ text: String) throws(ConfigurationError) -> FlowProtocol {
        guard let flowProtocol = FlowProtocol(named: text) else {
            throw ConfigurationError("protocol \"\(text)\" isn't known", fix: "use tcp or udp")
        }
        return flowProtocol
    }

    package static func datapath(_ text: String) throws(ConfigurationError) -> WorkloadConfiguration.Datapath
    {
        guard let datapath = WorkloadConfiguration.Datapath(rawValue: text) else {
            throw ConfigurationError("datapath \"\(text)\" isn't known", fix: "use auto, veth or slirp")
        }
        return datapath
    }

    package static func consistency(
        _ text: String
    ) throws(ConfigurationError) -> WorkloadConfiguration.Consistency {
        switch WorkloadConfiguration.Consistency(rawValue: text) {
        case .strong?:
            throw ConfigurationError("consistency strong isn't in this version", fix: "use eventual, or none")
        case nil:
            throw ConfigurationError("consistency \"\(text)\" isn't known", fix: "use eventual, or none")
        case let consistency?: return consistency
        }
    }

    package static func fsync(_ text: String) throws(ConfigurationError) -> WorkloadConfiguration.State.Fsync
    {
        guard let fsync = WorkloadConfiguration.State.Fsync(rawValue: text) else {
            throw ConfigurationError("fsync \"\(text)\" isn't known", fix: "use always, interval or none")
        }
        return fsync
    }

    package static func conditional(
        _ text: String
    ) throws(ConfigurationError) -> WorkloadConfiguration.State.Conditional {
        guard let conditional = WorkloadConfiguration.State.Conditional(rawValue: text) else {
            throw ConfigurationError(
                "conditional \"\(text)\" isn't known", fix: "use allow, warn or deny")
        }
        return conditional
    }

    /// A count of bytes: `268435456`, `256MiB`, `1GiB`; 1 MiB at least.
    package static func memory(_ text: String) throws(ConfigurationError) -> UInt64 {
        let units: [(suffix: String, shift: UInt64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        let unit = units.first { text.hasSuffix($0.suffix) }
        let digits = text.dropLast(unit?.suffix.count ?? 0)
        let isDecimal = digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isDecimal, let number = UInt64(digits), number <= UInt64.max >> 34,
            case let bytes = number << (unit?.shift ?? 0), bytes >= 1 << 20
        else {
            throw ConfigurationError(
                "\"\(text)\" is no amount of memory", fix: "write it as 256MiB, 1MiB at least")
        }
        return bytes
    }

    /// 1 to `Limits.versionBytesMaximum` bytes, without control characters.
    package static func version(_ text: String) throws(ConfigurationError) -> String {
        let count = text.utf8.count
        guard (1...Limits.versionBytesMaximum).contains(count) else {
            throw ConfigurationError(
                count == 0 ? "the version is empty" : "the version has \(count) bytes",
                fix: "use 1 to \(Limits.versionBytesMaximum) bytes")
        }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            throw ConfigurationError("the version holds a control character", fix: "use visible text")
        }
        return text
    }

    package static func namespace(_ text: String) throws(ConfigurationError) -> String {
        guard WorkloadName.isLabel(text) else { throw label(text, "namespace") }
        guard !text.hasPrefix("v--") else {
            throw ConfigurationError(
                "namespace \"\(text)\" begins with v--, which is kept for versions in names",
                fix: "choose another namespace")
        }
        return text
    }

    package static func workload(
        namespace: String, name: String
    ) throws(ConfigurationError) -> WorkloadName {
        let namespace = try self.namespace(namespace)
        guard WorkloadName.isLabel(name) else { throw label(name, "workload") }
        guard let workload = try? WorkloadName(namespace: namespace, name: name) else {
            throw ConfigurationError(
                "the workload name \"\(name)\" is reserved", fix: "choose another name")
        }
        return workload
    }

    /// `name`, `namespace/name`, `domain/namespace/name`, each of the last two parts possibly `*`.
    package static func pattern(
        _ text: String, namespace: String, trustDomain: String?
    ) throws(ConfigurationError) -> IdentityPattern {
        do {
            let pattern = try IdentityPattern(parsing: text, namespace: namespace, trustDomain: trustDomain)
            if case .exactly(let space) = pattern.namespace { _ = try self.namespace(space) }
            if case .exactly("state") = pattern.name {
                throw ConfigurationError(
                    "the workload name \"state\" is reserved", fix: "choose another name")
            }
            return pattern
        } catch let error as ConfigurationError {
            throw error
        } catch IdentityError.foreignDomain(let domain) {
            throw ConfigurationError(
                "\"\(text)\" names the trust domain \"\(domain)\""
                    + (trustDomain.map { ", but one's own is \"\($0)\"" }
                        ?? ", and one's own isn't known here"),
                fix: "write namespace/name, since another trust domain can't be named yet")
        } catch {
            throw ConfigurationError(
                "\"\(text)\" is not a workload's name",
                fix: "write name or namespace/name, each of a-z, 0-9 and -, or * for a whole part")
        }
    }

    /// A literal address and port, for `listen` and `advertise`; returned as written.
    package static func endpoint(
        _ text: String, allowsAnyAddress: Bool
    ) throws(ConfigurationError) -> String {
        let fix = "write address:port, such as 192.0.2.7:7400 or [2001:db8::7]:7400"
        let (host, _) = try hostAndPort(text, fix: fix)
        guard NetworkLiteral.isAddress(host) else {
            throw ConfigurationError("\"\(host)\" is not an address", fix: fix)
        }
        guard allowsAnyAddress || !NetworkLiteral.isUnspecified(host) else {
            throw ConfigurationError(
                "\"\(text)\" is an address that nobody can dial", fix: "advertise the host's own address")
        }
        return text
    }

    /// An absolute path of a unix socket, without `.` or `..`.
    package static func socketPath(_ text: String) throws(ConfigurationError) -> String {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard text.hasPrefix("/"), text.utf8.count <= Limits.socketPathBytesMaximum,
            !text.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." })
        else {
            throw ConfigurationError(
                "\"\(text)\" is not the path of a unix socket",
                fix: "write an absolute path without . and .., of at most "
                    + "\(Limits.socketPathBytesMaximum) bytes")
        }
        return text
    }

    package static func hostAndPort(_ text: String, fix: String) throws(ConfigurationError) -> (
        String, UInt16
    ) {
        guard let colon = text.lastIndex(of: ":") else {
            throw ConfigurationError("\"\(text)\" has no port", fix: fix)
        }
        var host = String(text[..<colon])
        let port = try port(String(text[text.index(after: colon)...]))
        if host.hasPrefix("["), host.hasSuffix("]"), host.utf8.count > 2 {
            host = String(host.dropFirst().dropLast())
            guard NetworkLiteral.isIPv6(host) else {
                throw ConfigurationError("\"\(host)\" is not an IPv6 address", fix: fix)
            }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            throw ConfigurationError("\"\(text)\" is ambiguous", fix: "put an IPv6 address in [brackets]")
        }
        return (host, port)
    }

    private static func label(_ text: String, _ what: String) -> ConfigurationError {
        ConfigurationError(
            "\(what) \"\(text)\" is not a DNS label",
            fix: "use 1 to \(Limits.nameBytesMaximum) of a-z, 0-9 and -, neither first nor last a -")
    }
}
