// What sidecars (and the operator's command) and mesh-node say to each other, over the node's unix socket:
// canonical CBOR, each message behind a length of 4 bytes, big-endian.
//
// A message is an array of its kind and its fields. A reader takes the fields that it knows and leaves
// those that a later version put behind them; a kind that it doesn't know is `unknown`, to be skipped.

/// From a sidecar, or from `mesh`, to the node.
package enum ClientMessage: Hashable, Sendable {
    /// The first message of a sidecar.
    case register(NodeRegistration)
    /// The same anew, with the next sequence.
    case renew(NodeRegistration)
    case subscribe(TopicID)
    case unsubscribe(TopicID)
    /// `Certificate.hash` of a leaf.
    case certificateRequest(hash: [UInt8])
    /// The instance ends now: publish this tombstone.
    case withdraw(tombstone: [UInt8])
    /// `mesh node stop`.
    case stop
    case status
    /// `mesh node reload`: take the config file over. Answered by `status`, or `refused`.
    case reload
    /// About the signed policy: its head, a wish for it, a part of it, a beacon.
    case policy(PolicyMessage)
    case unknown(kind: UInt64)
}

/// From the node to a client.
package enum NodeMessage: Hashable, Sendable {
    /// The announcement's own bytes; its certificate is asked for by hash. Between nodes also for how long
    /// others have held it, of which its time to live is the less.
    case announcement([UInt8], age: MonotonicTime.Span = .seconds(0))
    /// The chain that was asked for.
    case certificate(leaf: [UInt8], issuer: [UInt8])
    case tombstone([UInt8])
    /// The last message was not accepted; why.
    case refused(String)
    case status(NodeStatus)
    /// The same as a client's.
    case policy(PolicyMessage)
    case unknown(kind: UInt64)
}

/// What a sidecar leaves with its node.
package struct NodeRegistration: Hashable, Sendable {
    /// Empty for an instance that doesn't serve.
    package var announcements: [[UInt8]]
    package var leaf: [UInt8]
    package var issuer: [UInt8]
    /// Published when the sidecar's process ends.
    package var tombstone: [UInt8]
    package var instanceFolder: String
    package var launcherProcessID: Int32

    package init(
        announcements: [[UInt8]], leaf: [UInt8], issuer: [UInt8], tombstone: [UInt8],
        instanceFolder: String, launcherProcessID: Int32
    ) {
        self.announcements = announcements
        self.leaf = leaf
        self.issuer = issuer
        self.tombstone = tombstone
        self.instanceFolder = instanceFolder
        self.launcherProcessID = launcherProcessID
    }
}

package struct NodeStatus: Hashable, Sendable {
    package var processID: Int32
    package var registrations: UInt64
    package var subscriptions: UInt64
    package var announcements: UInt64
    package var tombstones: UInt64
    package var certificates: UInt64
    /// Nodes of other hosts that are connected.
    package var neighbours: UInt64
    /// Why the node's own config file isn't in force; empty where it is, or where there is none.
    package var configurationProblem: String

    package init(
        processID: Int32, registrations: UInt64, subscriptions: UInt64, announcements: UInt64,
        tombstones: UInt64, certificates: UInt64, neighbours: UInt64 = 0,
        configurationProblem: String = ""
    ) {
        self.processID = processID
        self.registrations = registrations
        self.subscriptions = subscriptions
        self.announcements = announcements
        self.tombstones = tombstones
        self.certificates = certificates
        self.neighbours = neighbours
        self.configurationProblem = configurationProblem
    }
}

// MARK: - From a client

extension ClientMessage {
    package func encoded() -> [UInt8] {
        let items: [CBOR] =
            switch self {
            case .register(let registration): [.unsigned(1)] + registration.items
            case .renew(let registration): [.unsigned(2)] + registration.items
            case .subscribe(let topic): [.unsigned(3), .bytes(topic.bytes)]
            case .unsubscribe(let topic): [.unsigned(4), .bytes(topic.bytes)]
            case .certificateRequest(let hash): [.unsigned(5), .bytes(hash)]
            case .withdraw(let tombstone): [.unsigned(6), .bytes(tombstone)]
            case .stop: [.unsigned(7)]
            case .status: [.unsigned(8)]
            case .reload: [.unsigned(9)]
            case .policy(let message): [.unsigned(10), message.item]
            case .unknown(let kind): [.unsigned(kind)]
            }
        return CBOR.array(items).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        let (kind, fields) = try MessageFields.read(bytes, of: "client's message")
        switch kind {
        case 1: self = .register(try NodeRegistration(fields))
        case 2: self = .renew(try NodeRegistration(fields))
        case 3: self = .subscribe(try fields.topic(0))
        case 4: self = .unsubscribe(try fields.topic(0))
        case 5: self = .certificateRequest(hash: try fields.bytes(0, "certificate hash", count: 32))
        case 6:
            self = .withdraw(
                tombstone: try fields.bytes(0, "tombstone", maximum: Limits.tombstoneBytesMaximum))
        case 7: self = .stop
        case 8: self = .status
        case 9: self = .reload
        case 10: self = .policy(try PolicyMessage(try fields.item(0, "policy message")))
        default: self = .unknown(kind: kind)
        }
    }
}

extension NodeRegistration {
    fileprivate var items: [CBOR] {
        [
            .array(announcements.map { .bytes($0) }), .bytes(leaf), .bytes(issuer), .bytes(tombstone),
            .text(instanceFolder), .unsigned(UInt64(max(launcherProcessID, 0))),
        ]
    }

    fileprivate init(_ fields: MessageFields) throws(CBORError) {
        announcements = try fields.byteStrings(
            0, "announcements", count: Limits.registrationAnnouncementsMaximum,
            bytes: Limits.announcementBytesMaximum)
        leaf = try fields.bytes(1, "leaf", maximum: Limits.certificateBytesMaximum)
        issuer = try fields.bytes(2, "issuer", maximum: Limits.certificateBytesMaximum)
        tombstone = try fields.bytes(3, "tombstone", maximum: Limits.tombstoneBytesMaximum)
        instanceFolder = try fields.text(4, "instance folder", maximum: Limits.pathBytesMaximum)
        launcherProcessID = try fields.processID(5)
    }
}

// MARK: - From the node

extension NodeMessage {
    package func encoded() -> [UInt8] {
        let items: [CBOR] =
            switch self {
            case .announcement(let bytes, let age):
                [.unsigned(1), .bytes(bytes)] + (age.milliseconds == 0 ? [] : [.unsigned(age.milliseconds)])
            case .certificate(let leaf, let issuer): [.unsigned(2), .bytes(leaf), .bytes(issuer)]
            case .tombstone(let bytes): [.unsigned(3), .bytes(bytes)]
            case .refused(let reason): [.unsigned(4), .text(reason)]
            case .status(let status):
                [.unsigned(5), .unsigned(UInt64(max(status.processID, 0)))]
                    + [
                        status.registrations, status.subscriptions, status.announcements,
                        status.tombstones, status.certificates, status.neighbours,
                    ].map { .unsigned($0) } + [.text(status.configurationProblem)]
            case .policy(let message): [.unsigned(6), message.item]
            case .unknown(let kind): [.unsigned(kind)]
            }
        return CBOR.array(items).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        let (kind, fields) = try MessageFields.read(bytes, of: "node's message")
        switch kind {
        case 1:
            let age = fields.count > 1 ? try fields.unsigned(1, "announcement's age") : 0
            // Nothing lives longer, so that the rest says no more.
            self = .announcement(
                try fields.bytes(0, "announcement", maximum: Limits.announcementBytesMaximum),
                age: .milliseconds(min(age, Limits.announcementLifeMaximum.milliseconds)))
        case 2:
            self = .certificate(
                leaf: try fields.bytes(0, "leaf", maximum: Limits.certificateBytesMaximum),
                issuer: try fields.bytes(1, "issuer", maximum: Limits.certificateBytesMaximum))
        case 3:
            self = .tombstone(try fields.bytes(0, "tombstone", maximum: Limits.tombstoneBytesMaximum))
        case 4: self = .refused(try fields.text(0, "reason", maximum: Limits.nodeFrameBytesMaximum))
        case 5:
            self = .status(
                NodeStatus(
                    processID: try fields.processID(0),
                    registrations: try fields.unsigned(1, "registrations"),
                    subscriptions: try fields.unsigned(2, "subscriptions"),
                    announcements: try fields.unsigned(3, "announcements"),
                    tombstones: try fields.unsigned(4, "tombstones"),
                    certificates: try fields.unsigned(5, "certificates"),
                    neighbours: try fields.unsigned(6, "neighbours"),
                    configurationProblem: try fields.text(
                        7, "configuration problem", maximum: Limits.logLineBytesMaximum)))
        case 6: self = .policy(try PolicyMessage(try fields.item(0, "policy message")))
        default: self = .unknown(kind: kind)
        }
    }
}
