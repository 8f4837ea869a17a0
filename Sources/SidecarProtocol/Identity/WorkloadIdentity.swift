// Who a workload is, and the patterns by which a config names others.

/// A workload's name inside its trust domain: `namespace/name`, each one DNS label.
package struct WorkloadName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let namespace: String
    package let name: String

    /// Refuses what isn't a lower-case DNS label (RFC 1123), and the reserved name `state` and
    /// namespaces that begin with `v--`, which DNS names of the mesh use for other things.
    package init(namespace: String, name: String) throws(IdentityError) {
        guard WorkloadName.isLabel(namespace) else { throw .invalidLabel(namespace) }
        guard WorkloadName.isLabel(name) else { throw .invalidLabel(name) }
        guard name != "state" else { throw .reserved(name) }
        guard !namespace.hasPrefix("v--") else { throw .reserved(namespace) }
        self.namespace = namespace
        self.name = name
    }

    package var description: String { "\(namespace)/\(name)" }

    package static func < (left: WorkloadName, right: WorkloadName) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }

    /// 1 to 63 of a–z, 0–9 and `-`, neither first nor last a `-`.
    package static func isLabel(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (1...Limits.nameBytesMaximum).contains(bytes.count),
            bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-")
        else { return false }
        return bytes.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
        }
    }
}

package enum IdentityError: Error, Equatable, Sendable {
    case invalidLabel(String)
    case reserved(String)
    case foreignDomain(String)
    case invalidPattern(String)
    case invalidSPIFFE(String)
}

/// `spiffe://<trust domain>/ns/<namespace>/w/<workload>`, or a node's `spiffe://<trust domain>/host/<host>`.
package struct SPIFFEIdentity: Hashable, Sendable, CustomStringConvertible {
    package enum Subject: Hashable, Sendable {
        case workload(WorkloadName)
        case host(String)
    }

    package let trustDomain: String
    package let subject: Subject

    package init(trustDomain: String, subject: Subject) {
        self.trustDomain = trustDomain
        self.subject = subject
    }

    package init(parsing text: String) throws(IdentityError) {
        let scheme = "spiffe://"
        guard text.hasPrefix(scheme) else { throw .invalidSPIFFE(text) }
        let parts = text.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false)
            .map(String.init)
        guard let domain = parts.first, TrustDomain.isName(domain) else { throw .invalidSPIFFE(text) }
        if parts.count == 5, parts[1] == "ns", parts[3] == "w" {
            self.init(
                trustDomain: domain,
                subject: .workload(try WorkloadName(namespace: parts[2], name: parts[4])))
        } else if parts.count == 3, parts[1] == "host", WorkloadName.isLabel(parts[2]) {
            self.init(trustDomain: domain, subject: .host(parts[2]))
        } else {
            throw .invalidSPIFFE(text)
        }
    }

    package var workload: WorkloadName? {
        if case .workload(let name) = subject { return name }
        return nil
    }

    package var description: String {
        switch subject {
        case .workload(let name): "spiffe://\(trustDomain)/ns/\(name.namespace)/w/\(name.name)"
        case .host(let host): "spiffe://\(trustDomain)/host/\(host)"
        }
    }
}

package enum TrustDomain {
    /// 1 to 255 bytes of labels joined by dots.
    package static func isName(_ text: String) -> Bool {
        text.utf8.count <= 255
            && text.split(separator: ".", omittingEmptySubsequences: false)
                .allSatisfy { WorkloadName.isLabel(String($0)) }
    }
}

/// The hash of a trust domain's first trust bundle: 32 bytes, and what the wire carries.
package struct TrustDomainID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless `bytes` are 32.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    package var description: String { bytes.hex }
}

/// One run of a workload: 16 random bytes.
package struct InstanceID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package var description: String { bytes.hex }
}

/// A pattern of workload names in a config: `name`, `namespace/name`, `*`, `namespace/*`, `*/*`.
///
/// A `*` stands for one whole part. A leading `trust-domain/` must be one's own.
package struct IdentityPattern: Hashable, Sendable, CustomStringConvertible {
    package enum Part: Hashable, Sendable {
        case exactly(String)
        case any
    }

    package let namespace: Part
    package let name: Part

    package init(namespace: Part, name: Part) {
        self.namespace = namespace
        self.name = name
    }

    /// - Parameters:
    ///   - namespace: one's own, for a pattern that names none.
    ///   - trustDomain: one's own, where it is known; a pattern that names another is an error.
    package init(parsing text: String, namespace own: String, trustDomain: String?) throws(IdentityError) {
        var parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 3 {
            guard parts[0] == trustDomain else { throw .foreignDomain(parts[0]) }
            parts.removeFirst()
        }
        switch parts.count {
        case 1: self.init(namespace: .exactly(own), name: try IdentityPattern.part(parts[0], in: text))
        case 2:
            self.init(
                namespace: try IdentityPattern.part(parts[0], in: text),
                name: try IdentityPattern.part(parts[1], in: text))
        default: throw .invalidPattern(text)
        }
    }

    private static func part(_ text: String, in whole: String) throws(IdentityError) -> Part {
        if text == "*" { return .any }
        guard WorkloadName.isLabel(text) else { throw .invalidPattern(whole) }
        return .exactly(text)
    }

    package func matches(_ workload: WorkloadName) -> Bool {
        IdentityPattern.matches(namespace, workload.namespace) && IdentityPattern.matches(name, workload.name)
    }

    private static func matches(_ part: Part, _ text: String) -> Bool {
        switch part {
        case .any: true
        case .exactly(let wanted): wanted == text
        }
    }

    package var description: String {
        func spell(_ part: Part) -> String {
            switch part {
            case .any: "*"
            case .exactly(let text): text
            }
        }
        return "\(spell(namespace))/\(spell(name))"
    }
}
