/// The end of one incarnation of an instance, signed by itself beforehand and left with its node, which
/// publishes it the moment the process ends.
///
/// It buries the announcements of that incarnation up to its sequence, and no others: neither those of
/// a sidecar that takes its place, nor, replayed, those that came after it.
package struct Tombstone: Hashable, Sendable {
    package let instance: InstanceID
    package let incarnation: UInt64
    /// The highest sequence that it buries.
    package let sequence: UInt64
    /// `Certificate.hash` of the leaf whose signing key signs it.
    package let certificateHash: [UInt8]
    /// Its leaf's: from then on there is nothing left to bury.
    package let notAfter: WallTime

    private var signed: SignedBytes?

    /// Not yet signed.
    ///
    /// - Parameter certificate: one's own leaf; another kind is a programmer's error.
    package init(certificate: Certificate, incarnation: UInt64, sequence: UInt64) {
        guard let instance = certificate.contents.instance else {
            preconditionFailure("only a leaf leaves a tombstone")
        }
        self.instance = instance
        certificateHash = certificate.hash
        notAfter = certificate.notAfter
        self.incarnation = incarnation
        self.sequence = sequence
    }

    /// The bytes to leave with the node.
    package func signed(by key: SigningKeyPair) -> [UInt8] {
        SignedBytes(body: body(), context: .tombstone, signedBy: key).encoded()
    }

    /// Whether the instance itself signed it.
    ///
    /// - Parameter certificate: a leaf that `TrustBundle.verify` has accepted.
    package func verify(certificate: Certificate) throws(AnnouncementError) {
        guard certificate.contents.instance == instance else { throw .wrongCertificate }
        guard let signed, signed.isValid(context: .tombstone, signedBy: certificate.signingKey) else {
            throw .badSignature
        }
    }

    package func buries(_ announcement: Announcement) -> Bool {
        announcement.instance == instance && announcement.incarnation == incarnation
            && announcement.sequence <= sequence
    }
}

// MARK: - Encoding

extension Tombstone {
    private enum Key {
        static let instance: UInt64 = 2
        static let incarnation: UInt64 = 3
        static let sequence: UInt64 = 4
        static let certificateHash: UInt64 = 5
        static let notAfter: UInt64 = 6
    }

    private func body() -> [UInt8] {
        var written = VersionedFields()
        written.known[Key.instance] = .bytes(instance.bytes)
        written.known[Key.incarnation] = .unsigned(incarnation)
        written.known[Key.sequence] = .unsigned(sequence)
        written.known[Key.certificateHash] = .bytes(certificateHash)
        written.known[Key.notAfter] = .unsigned(UInt64(clamping: notAfter.milliseconds))
        return written.encoded()
    }

    package init(canonical bytes: [UInt8]) throws(AnnouncementError) {
        guard bytes.count <= Limits.tombstoneBytesMaximum else {
            throw .tooLong(bytes.count, maximum: Limits.tombstoneBytesMaximum)
        }
        let signed: SignedBytes
        do { signed = try SignedBytes(canonical: bytes) } catch { throw AnnouncementError(error) }
        let fields: CBORFields
        do {
            fields = try VersionedFields(
                canonical: signed.body, of: "tombstone", keys: Key.instance...Key.notAfter
            ).known
        } catch { throw AnnouncementError(error) }
        do throws(CBORError) {
            guard let instance = InstanceID(try fields.bytes(Key.instance, "instance")) else {
                throw .unexpected(field: "instance")
            }
            self.instance = instance
            incarnation = try fields.unsigned(Key.incarnation, "incarnation")
            sequence = try fields.unsigned(Key.sequence, "sequence")
            certificateHash = try fields.bytes(Key.certificateHash, "certificate hash", count: 32)
            let end = try fields.unsigned(Key.notAfter, "not-after")
            guard end <= Limits.wallTimeMaximum else { throw .unexpected(field: "not-after") }
            notAfter = WallTime(milliseconds: Int64(end))
        } catch { throw AnnouncementError(error) }
        self.signed = signed
    }
}
