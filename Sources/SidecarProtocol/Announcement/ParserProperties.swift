// What must hold of every parser here on every input. Fuzz targets and mutation tests call these; each
// ends the process where a property doesn't hold, which is how a fuzzer finds it.

/// The parsers of identity and announcements, as functions that take anything.
package enum ParserProperties {
    package static let all: [(name: String, check: @Sendable ([UInt8]) -> Void)] =
        [
            ("cbor", cbor), ("certificate", certificate), ("trust-bundle", trustBundle),
            ("announcement", announcement), ("tombstone", tombstone), ("issuer-request", issuerRequest),
            ("issuer-answer", issuerAnswer), ("client-message", clientMessage), ("node-message", nodeMessage),
            ("handshake", handshake), ("policy", policy), ("policy-body", policyBody), ("beacon", beacon),
            ("policy-message", policyMessage), ("policy-key-request", policyKeyRequest),
            ("saved-policy-head", savedPolicyHead),
        ] + SessionProperties.all + NodeSessionProperties.all + StorageProperties.all
        + StateProperties.all

    /// Whatever is read is written as the same bytes: one encoding per value.
    @Sendable package static func cbor(_ bytes: [UInt8]) {
        guard let item = try? CBOR(canonical: bytes) else { return }
        precondition(item.encoded() == bytes)
    }

    /// What is read fits its limits and is written as the same bytes.
    @Sendable package static func certificate(_ bytes: [UInt8]) {
        guard let certificate = try? Certificate(canonical: bytes) else { return }
        precondition(bytes.count <= Limits.certificateBytesMaximum && certificate.encoded == bytes)
        guard let signed = try? SignedBytes(canonical: bytes) else { preconditionFailure() }
        precondition(certificate.contents.body() == signed.body)
        precondition(certificate.notBefore < certificate.notAfter)
    }

    /// A bundle has roots, and they are of its domain.
    @Sendable package static func trustBundle(_ bytes: [UInt8]) {
        guard let bundle = try? TrustBundle(canonical: bytes) else { return }
        precondition(bundle.encoded == bytes && !bundle.roots.isEmpty && bundle.sequence > 0)
        precondition(bundle.roots.allSatisfy { $0.trustDomain == bundle.trustDomain })
    }

    /// What is read is announced again as the same body, whoever signs it.
    @Sendable package static func announcement(_ bytes: [UInt8]) {
        guard let announcement = try? Announcement(canonical: bytes) else { return }
        let anybody = SigningKeyPair(seed: [UInt8](repeating: 1, count: 32))
        guard let signed = try? SignedBytes(canonical: bytes),
            let again = try? SignedBytes(canonical: announcement.signed(by: anybody))
        else { preconditionFailure() }
        precondition(signed.body == again.body)
    }

    /// Nothing is read that its own key hasn't signed.
    @Sendable package static func policyKeyRequest(_ bytes: [UInt8]) {
        guard let request = try? PolicyKeyRequest(canonical: bytes) else { return }
        precondition(bytes.count <= Limits.certificateBytesMaximum)
        guard let signed = try? SignedBytes(canonical: bytes) else { preconditionFailure() }
        precondition(signed.isValid(context: .policyKeyRequest, signedBy: request.key))
    }

    /// What is read is written as the same bytes.
    @Sendable package static func savedPolicyHead(_ bytes: [UInt8]) {
        guard let saved = try? SavedPolicyHead(canonical: bytes) else { return }
        precondition(saved.encoded() == bytes && bytes.count <= Limits.savedPolicyHeadBytesMaximum)
    }

    @Sendable package static func tombstone(_ bytes: [UInt8]) {
        guard let tombstone = try? Tombstone(canonical: bytes) else { return }
        precondition(tombstone.certificateHash.count == 32)
    }

    /// Nothing is read that its own key hasn't signed.
    @Sendable package static func issuerRequest(_ bytes: [UInt8]) {
        guard let request = try? IssuerRequest(canonical: bytes) else { return }
        guard let signed = try? SignedBytes(canonical: bytes) else { preconditionFailure() }
        precondition(signed.isValid(context: .certificateRequest, signedBy: request.signingKey))
    }

    @Sendable package static func issuerAnswer(_ bytes: [UInt8]) {
        guard case .issued(let issued)? = try? IssuerAnswer(canonical: bytes) else { return }
        precondition(issued.chain.leaf.contents.staticKey != nil)
    }

    /// What is read is read again from what it is written as.
    @Sendable package static func clientMessage(_ bytes: [UInt8]) {
        guard let message = try? ClientMessage(canonical: bytes) else { return }
        precondition((try? ClientMessage(canonical: message.encoded())) == message)
    }

    @Sendable package static func nodeMessage(_ bytes: [UInt8]) {
        guard let message = try? NodeMessage(canonical: bytes) else { return }
        precondition((try? NodeMessage(canonical: message.encoded())) == message)
    }

    /// What is read fits its limits and is written as the same bytes; whatever it says can be decided by.
    @Sendable package static func policy(_ bytes: [UInt8]) {
        guard let policy = try? SignedPolicy(canonical: bytes) else { return }
        precondition(policy.encoded == bytes && bytes.count <= Limits.policyBytesMaximum)
        policyBody(policy.document.body())
    }

    /// The same of what the signature covers, which mutations of the whole seldom reach.
    @Sendable package static func policyBody(_ bytes: [UInt8]) {
        guard let document = try? PolicyDocument(body: bytes) else { return }
        precondition(document.body() == bytes && document.impossibleField == nil && document.epoch > 0)
        let policy = CompiledPolicy(document, head: .initial(of: document.trustDomain))
        _ = document.problems
        let subject = PolicySubject(try! WorkloadName(namespace: "default", name: "web"))
        for time in [document.issuedAt, WallTime(milliseconds: .min), WallTime(milliseconds: .max)] {
            let question = PolicyQuestion(from: subject, to: subject, port: ServicePort(80, .tcp))
            let verdict = policy.verdict(question, at: PolicyTime(time))
            precondition(verdict.isAllowed == (verdict.reason == .finished))
            if let next = policy.boundary(after: time) { precondition(next > time) }
        }
    }

    @Sendable package static func beacon(_ bytes: [UInt8]) {
        guard let beacon = try? FreshnessBeacon(canonical: bytes) else { return }
        precondition(bytes.count <= Limits.beaconBytesMaximum && beacon.keyID.count == 16)
    }

    /// What is read is read again from what it is written as, and a part lies within its policy.
    @Sendable package static func policyMessage(_ bytes: [UInt8]) {
        guard let item = try? CBOR(canonical: bytes), let message = try? PolicyMessage(item) else { return }
        precondition((try? PolicyMessage(message.item)) == message)
        if case .part(let part) = message {
            precondition(Int(part.offset) + part.bytes.count <= Int(part.total))
            precondition(!part.bytes.isEmpty && part.total <= Limits.policyBytesMaximum)
        }
    }

    /// A first message that is refused changes nothing.
    @Sendable package static func handshake(_ bytes: [UInt8]) {
        func pair(_ byte: UInt8) -> X25519KeyPair {
            X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
        }
        var responder = HandshakeState(
            pattern: .XK, initiator: false, prologue: [], s: pair(1), e: pair(2), rs: nil)
        let before = responder.handshakeHash
        if (try? responder.readMessage(bytes)) == nil {
            precondition(responder.handshakeHash == before && !responder.isOurTurn)
        }
    }
}
