// What a sidecar says of itself on a topic (DESIGN.md, section 6).
//
// Theory of operation
//
//   Relays store and forward an announcement's own bytes, and believe none of it before `verify`: its
//   certificate, which it names by hash, must have been verified against the trust bundle, must name
//   the same instance and static key, must grant the topic, and must not have ended.
//
//   Of one instance the greatest (incarnation, sequence) counts. The time to live runs on the
//   receiver's clock from the moment of receipt, and is cut off where the certificate ends.

package struct Announcement: Hashable, Sendable {
    package var topic: TopicID
    package var identity: SPIFFEIdentity
    package var instance: InstanceID
    package var incarnation: UInt64
    package var sequence: UInt64
    /// To the millisecond; at most `Limits.announcementLifeMaximum`.
    package var timeToLive: MonotonicTime.Span
    /// Where its sidecar listens; at least one.
    package var endpoints: [Endpoint]
    package var staticKey: X25519PublicKey
    /// Versions of the wire that it speaks.
    package var versions: ClosedRange<UInt8>
    /// A bit each; none is defined yet.
    package var capabilities: UInt64 = 0
    /// In thousandths of what it can do.
    package var load: UInt16 = 0
    package var extensions: [String: [UInt8]] = [:]
    /// `Certificate.hash` of its leaf.
    package var certificateHash: [UInt8]

    package private(set) var version = StructureVersion()
    /// Fields of a later version, kept as they came.
    package private(set) var unknown: [CBOR.Pair] = []
    /// What was signed; nil before it is.
    private var signed: SignedBytes?

    /// Not yet signed: identity, instance and static key are the certificate's.
    ///
    /// - Parameter certificate: one's own leaf, or a node's own; another kind is a programmer's error.
    package init(
        topic: TopicID, certificate: Certificate, incarnation: UInt64, sequence: UInt64,
        timeToLive: MonotonicTime.Span, endpoints: [Endpoint], versions: ClosedRange<UInt8>
    ) {
        guard let identity = certificate.identity, let instance = certificate.contents.instance,
            let staticKey = certificate.contents.staticKey
        else { preconditionFailure("only a leaf announces itself") }
        self.topic = topic
        self.identity = identity
        self.instance = instance
        self.staticKey = staticKey
        certificateHash = certificate.hash
        self.incarnation = incarnation
        self.sequence = sequence
        self.timeToLive = timeToLive
        self.endpoints = endpoints
        self.versions = versions
    }

    /// The bytes to publish. Refuses what no receiver would accept.
    package func signed(by key: SigningKeyPair) throws(AnnouncementError) -> [UInt8] {
        let bytes = SignedBytes(body: body(), context: .announcement, signedBy: key).encoded()
        _ = try Announcement(canonical: bytes)
        return bytes
    }

    // MARK: Believing

    /// Whether this announcement is its certificate's own.
    ///
    /// - Parameter certificate: a leaf that `TrustBundle.verify` has accepted, with the same `skew`.
    package func verify(
        certificate: Certificate, discoveryKey: DiscoveryKey, at now: WallTime,
        skew: MonotonicTime.Span = Limits.peerClockSkew
    ) throws(AnnouncementError) {
        guard certificate.hash == certificateHash, certificate.identity == identity,
            certificate.contents.instance == instance
        else { throw .wrongCertificate }
        guard certificate.contents.staticKey == staticKey else { throw .wrongStaticKey }
        guard certificate.topics.contains(where: { TopicID(name: $0, key: discoveryKey) == topic }) else {
            throw .topicNotGranted(topic)
        }
        guard now < certificate.notAfter + skew else { throw .certificateOver }
        guard let signed, signed.isValid(context: .announcement, signedBy: certificate.signingKey) else {
            throw .badSignature
        }
    }

    /// How long it holds from now on: what is left of its time to live, or less where its certificate ends
    /// before.
    ///
    /// - Parameter age: what others held it for.
    package func life(
        under certificate: Certificate, at now: WallTime, age: MonotonicTime.Span = .seconds(0),
        skew: MonotonicTime.Span = Limits.peerClockSkew
    ) -> MonotonicTime.Span {
        let left = timeToLive.milliseconds - min(age.milliseconds, timeToLive.milliseconds)
        let end = certificate.notAfter + skew
        guard now < end else { return .seconds(0) }
        let (rest, over) = end.milliseconds.subtractingReportingOverflow(now.milliseconds)
        // In milliseconds: a certificate of millennia has more nanoseconds than there are numbers.
        return .milliseconds(over ? left : min(left, UInt64(rest)))
    }

    /// Whether this one takes the place of `other`, of the same instance and topic.
    package func supersedes(_ other: Announcement) -> Bool {
        (incarnation, sequence) > (other.incarnation, other.sequence)
    }
}

// MARK: - Encoding

extension Announcement {
    private enum Key {
        static let topic: UInt64 = 2
        static let identity: UInt64 = 3
        static let instance: UInt64 = 4
        static let incarnation: UInt64 = 5
        static let sequence: UInt64 = 6
        static let timeToLive: UInt64 = 7
        static let endpoints: UInt64 = 8
        static let staticKey: UInt64 = 9
        static let versions: UInt64 = 10
        static let capabilities: UInt64 = 11
        static let load: UInt64 = 12
        static let extensions: UInt64 = 13
        static let certificateHash: UInt64 = 14
    }

    /// What is signed. A value of zero or none is left out where it may be.
    private func body() -> [UInt8] {
        var written = VersionedFields(version: version, unknown: unknown)
        written.known[Key.topic] = .bytes(topic.bytes)
        written.known[Key.identity] = .text(identity.description)
        written.known[Key.instance] = .bytes(instance.bytes)
        written.known[Key.incarnation] = .unsigned(incarnation)
        written.known[Key.sequence] = .unsigned(sequence)
        written.known[Key.timeToLive] = .unsigned(timeToLive.milliseconds)
        written.known[Key.endpoints] = .array(endpoints.map { .bytes($0.packed) })
        written.known[Key.staticKey] = .bytes(staticKey.bytes)
        written.known[Key.versions] = .array([
            .unsigned(UInt64(versions.lowerBound)), .unsigned(UInt64(versions.upperBound)),
        ])
        written.known[Key.capabilities] = capabilities == 0 ? nil : .unsigned(capabilities)
        written.known[Key.load] = load == 0 ? nil : .unsigned(UInt64(load))
        written.known[Key.extensions] =
            extensions.isEmpty ? nil : .map(extensions.map { CBOR.Pair(.text($0.key), .bytes($0.value)) })
        written.known[Key.certificateHash] = .bytes(certificateHash)
        return written.encoded()
    }

    package init(canonical bytes: [UInt8]) throws(AnnouncementError) {
        guard bytes.count <= Limits.announcementBytesMaximum else {
            throw .tooLong(bytes.count, maximum: Limits.announcementBytesMaximum)
        }
        let signed: SignedBytes
        do { signed = try SignedBytes(canonical: bytes) } catch { throw AnnouncementError(error) }
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: signed.body, of: "announcement", keys: Key.topic...Key.certificateHash)
        } catch { throw AnnouncementError(error) }
        do { try self.init(fields: read.known) } catch { throw AnnouncementError(error) }
        (version, unknown) = (read.version, read.unknown)
        self.signed = signed
        // One encoding per value.
        guard body() == signed.body else { throw .invalid(field: "encoding") }
    }

    private init(fields: CBORFields) throws(CBORError) {
        guard let topic = TopicID(try fields.bytes(Key.topic, "topic")) else {
            throw .unexpected(field: "topic")
        }
        guard let identity = try? SPIFFEIdentity(parsing: try fields.text(Key.identity, "identity")) else {
            throw .unexpected(field: "identity")
        }
        guard let instance = InstanceID(try fields.bytes(Key.instance, "instance")) else {
            throw .unexpected(field: "instance")
        }
        guard let staticKey = X25519PublicKey(try fields.bytes(Key.staticKey, "static key")) else {
            throw .unexpected(field: "static key")
        }
        self.topic = topic
        self.identity = identity
        self.instance = instance
        self.staticKey = staticKey
        certificateHash = try fields.bytes(Key.certificateHash, "certificate hash", count: 32)
        incarnation = try fields.unsigned(Key.incarnation, "incarnation")
        sequence = try fields.unsigned(Key.sequence, "sequence")
        timeToLive = try Announcement.timeToLive(fields)
        endpoints = try Announcement.endpoints(fields)
        versions = try Announcement.versions(fields)
        if fields[Key.capabilities] != nil {
            capabilities = try fields.unsigned(Key.capabilities, "capabilities")
        }
        if fields[Key.load] != nil { load = try fields.integer(Key.load, "load") }
        if let item = fields[Key.extensions] { extensions = try Announcement.extensions(item) }
    }

    private static func timeToLive(_ fields: CBORFields) throws(CBORError) -> MonotonicTime.Span {
        let milliseconds = try fields.unsigned(Key.timeToLive, "time to live")
        guard (1...Limits.announcementLifeMaximum.milliseconds).contains(milliseconds) else {
            throw .unexpected(field: "time to live")
        }
        return .milliseconds(milliseconds)
    }

    private static func endpoints(_ fields: CBORFields) throws(CBORError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for bytes in try fields.byteStrings(Key.endpoints, "endpoints") {
            guard let endpoint = Endpoint(packed: bytes) else { throw .unexpected(field: "endpoints") }
            endpoints.append(endpoint)
        }
        guard (1...Limits.announcementEndpointsMaximum).contains(endpoints.count) else {
            throw .unexpected(field: "endpoints")
        }
        return endpoints
    }

    private static func versions(_ fields: CBORFields) throws(CBORError) -> ClosedRange<UInt8> {
        let items = try fields.array(Key.versions, "versions")
        guard items.count == 2, case .unsigned(let first) = items[0], case .unsigned(let last) = items[1],
            let lowest = UInt8(exactly: first), let highest = UInt8(exactly: last), lowest <= highest
        else { throw .unexpected(field: "versions") }
        return lowest...highest
    }

    private static func extensions(_ item: CBOR) throws(CBORError) -> [String: [UInt8]] {
        guard case .map(let pairs) = item, pairs.count <= Limits.announcementExtensionsMaximum else {
            throw .unexpected(field: "extensions")
        }
        var extensions: [String: [UInt8]] = [:]
        for pair in pairs {
            guard case .text(let name) = pair.key, case .bytes(let value) = pair.value else {
                throw .unexpected(field: "extensions")
            }
            extensions[name] = value
        }
        return extensions
    }
}

extension Endpoint {
    /// Address and port in network order: 6 bytes for IPv4, 18 for IPv6.
    fileprivate var packed: [UInt8] {
        address.bytes + [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
    }

    /// Nil for another length, and for port 0.
    fileprivate init?(packed bytes: [UInt8]) {
        guard bytes.count > 2, let address = IPAddress(Array(bytes.dropLast(2))) else { return nil }
        let port = UInt16(bytes[bytes.count - 2]) << 8 | UInt16(bytes[bytes.count - 1])
        guard port != 0 else { return nil }
        self.init(address, port)
    }
}
