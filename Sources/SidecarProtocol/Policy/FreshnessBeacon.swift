// The sign of life of whoever guards a domain's policy.
//
// A domain whose policy names freshness keys lets no flow live longer than a lease after the last beacon
// that was signed with one of them. A beacon says when it was made, and nothing else.

package struct FreshnessBeacon: Hashable, Sendable {
    package let trustDomain: TrustDomainID
    package let issuedAt: WallTime
    /// Of the key that signed it: 16 bytes.
    package let keyID: [UInt8]
    private let signed: SignedBytes

    private enum Key {
        static let trustDomain: UInt64 = 2
        static let issuedAt: UInt64 = 3
        static let keyID: UInt64 = 4
    }

    /// - Returns: what travels.
    package static func signed(
        of trustDomain: TrustDomainID, at now: WallTime, by key: SigningKeyPair
    ) -> [UInt8] {
        var written = VersionedFields()
        written.known[Key.trustDomain] = .bytes(trustDomain.bytes)
        written.known[Key.issuedAt] = now.item
        written.known[Key.keyID] = .bytes(key.publicKey.keyID)
        return SignedBytes(body: written.encoded(), context: .beacon, signedBy: key).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(PolicyError) {
        guard bytes.count <= Limits.beaconBytesMaximum else { throw .tooLarge(bytes: bytes.count) }
        do { signed = try SignedBytes(canonical: bytes) } catch { throw PolicyError(error) }
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: signed.body, of: "beacon", keys: Key.trustDomain...Key.keyID)
        } catch { throw PolicyError(error) }
        do throws(CBORError) {
            guard let domain = TrustDomainID(try read.known.bytes(Key.trustDomain, "trust domain")),
                let issuedAt = try read.known.time(Key.issuedAt, "issue time")
            else { throw .unexpected(field: "trust domain or issue time") }
            (trustDomain, self.issuedAt) = (domain, issuedAt)
            keyID = try read.known.bytes(Key.keyID, "key id", count: 16)
        } catch { throw PolicyError(error) }
    }

    package func isSigned(by key: SigningPublicKey) -> Bool {
        keyID == key.keyID && signed.isValid(context: .beacon, signedBy: key)
    }
}

/// The beacons that count under the policy at hand.
package struct Freshness: Sendable {
    /// The newest issue time heard of each key: a beacon that is repeated doesn't count again.
    private var newest: [[UInt8]: WallTime] = [:]
    /// Nil before the first beacon.
    package private(set) var until: MonotonicTime?
    /// The beacon that `until` rests on, for peers that connect later.
    package private(set) var beacon: [UInt8]?

    package init() {}

    /// - Returns: whether the beacon prolongs what there is.
    package mutating func take(
        _ bytes: [UInt8], for policy: PolicyDocument, at now: Now
    ) throws(PolicyError) -> Bool {
        let beacon = try FreshnessBeacon(canonical: bytes)
        guard beacon.trustDomain == policy.trustDomain else {
            throw .wrongDomain(beacon.trustDomain, expected: policy.trustDomain)
        }
        guard let key = policy.freshnessKeys.first(where: { $0.keyID == beacon.keyID }) else {
            throw .unknownFreshnessKey(keyID: beacon.keyID)
        }
        if let known = newest[beacon.keyID], beacon.issuedAt <= known { throw .repeatedBeacon }
        guard beacon.isSigned(by: key) else { throw .badSignature }
        guard beacon.issuedAt <= now.wall + Limits.peerClockSkew else {
            throw .notYetIssued(
                milliseconds: beacon.issuedAt.milliseconds &- (now.wall + Limits.peerClockSkew).milliseconds)
        }
        let age = max(0, now.wall.milliseconds &- beacon.issuedAt.milliseconds)
        let lease = Int64(Limits.lease.milliseconds)
        guard age < lease else { throw .staleBeacon(milliseconds: age &- lease) }
        newest[beacon.keyID] = beacon.issuedAt
        let end = now.monotonic + .milliseconds(UInt64(lease - age))
        if let until, end <= until { return false }
        until = end
        self.beacon = bytes
        return true
    }

    /// A policy that asks for beacons follows one that didn't: what is allowed goes on for a lease.
    package mutating func begin(at now: MonotonicTime) {
        if until == nil { until = now + Limits.lease }
    }

    /// Forgets the keys that the policy no longer names, and what rested on them.
    package mutating func keep(only keys: [SigningPublicKey]) {
        let kept = Set(keys.map(\.keyID))
        newest = newest.filter { kept.contains($0.key) }
        if let beacon, let known = try? FreshnessBeacon(canonical: beacon), !kept.contains(known.keyID) {
            self.beacon = nil
            until = nil
        }
    }

    package func isFresh(at now: MonotonicTime) -> Bool { until.map { now < $0 } ?? false }
}

extension Limits {
    package static let beaconBytesMaximum = 256
}
