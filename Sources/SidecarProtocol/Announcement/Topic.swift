/// Names of topics: `svc/NAMESPACE/NAME` for the sidecars of a workload that serves, and
/// `state/NAMESPACE/NAME` for the replicas of its state.
package enum TopicName {
    package static func service(_ workload: WorkloadName) -> String {
        "svc/\(workload.namespace)/\(workload.name)"
    }

    package static func state(_ workload: WorkloadName) -> String {
        "state/\(workload.namespace)/\(workload.name)"
    }

    /// The workload of a service topic; nil for another topic.
    package static func workload(ofService topic: String) -> WorkloadName? {
        workload(of: topic, under: "svc")
    }

    /// The workload whose topic it is, of either kind; nil for a topic that is no workload's own.
    package static func owner(of topic: String) -> WorkloadName? {
        workload(of: topic, under: "svc") ?? workload(of: topic, under: "state")
    }

    private static func workload(of topic: String, under prefix: String) -> WorkloadName? {
        let parts = topic.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0] == prefix else { return nil }
        return try? WorkloadName(namespace: parts[1], name: parts[2])
    }

    /// 1 to 255 bytes; one that begins as a workload's own topics do must be one.
    package static func isName(_ topic: String) -> Bool {
        (1...Limits.topicNameBytesMaximum).contains(topic.utf8.count)
            && (!(topic.hasPrefix("svc/") || topic.hasPrefix("state/")) || owner(of: topic) != nil)
    }
}

/// The key that topic names are hashed under: 32 bytes, known inside the trust domain only.
package struct DiscoveryKey: Hashable, Sendable {
    package let bytes: [UInt8]

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }
}

/// What the wire carries for a topic's name: 16 bytes of BLAKE2b of the name, keyed with the domain's
/// discovery key, so that who reads the wire or a rendezvous learns no name.
package struct TopicID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless `bytes` are 16.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package init(name: String, key: DiscoveryKey) {
        bytes = BLAKE2b.hash(Array("mesh/1 topic\0".utf8) + Array(name.utf8), key: key.bytes, count: 16)
    }

    /// Of the sidecars of a workload that serves.
    package init(service workload: WorkloadName, discoveryKey: DiscoveryKey) {
        self.init(name: TopicName.service(workload), key: discoveryKey)
    }

    package var description: String { bytes.hex }
}
