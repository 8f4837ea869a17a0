// Who signed the lines of a records file, and whether enough of them are signed.
//
// Theory of operation
//
//   A signature line signs the chain of the line before it, and so every line before it, by the key of
//   the certificate that it carries. It is good where the signature fits, the certificate names the
//   instance whose file this is, and the trust domain stood by it when the line was written. The records
//   before it must be its own: the side that tells a flow must be the identity that signs. More than
//   `Limits.recordSignatureLines` lines without a signature are never left by a sidecar.

import SidecarProtocol

struct RecordSignatures {
    enum Kind: String {
        /// The signature isn't its certificate's, or isn't over the lines before it.
        case badSignature = "bad-signature"
        /// Lines that ought to be signed aren't.
        case unsigned
        /// Signed for another instance, or by another identity than the records tell of.
        case otherSigner = "other-signer"
        /// The trust domain doesn't stand by the certificate.
        case untrusted
    }

    struct Finding {
        let file: Int
        let line: Int
        let kind: Kind
        let what: String
    }

    private(set) var findings: [Finding] = []
    private(set) var findingCount = 0
    /// Good ones.
    private(set) var count = 0
    /// The identities that signed, and the certificates' serial numbers, in their order.
    private(set) var signers: [String] = []
    private(set) var serials: [UInt64] = []
    /// Lines behind the last signature.
    private(set) var unsignedTail = 0
    /// The last line says that the sidecar ended in order.
    private(set) var isEnded = false

    /// The trust domain's, and those that the caller names; empty where there is none.
    private let bundles: [TrustBundle]
    private let instance: String
    private let mayLackBeginning: Bool
    private var isFirstLine = true
    /// Of the telling side of records that no signature covers yet.
    private var tellers: Set<String> = []
    private var lastTeller: [UInt8] = []
    private var certificates: [[String]: Result<CertificateChain, CertificateError>] = [:]

    /// - Parameter instance: as the file's name says it; it isn't compared where that is no instance's id.
    init(bundles: [TrustBundle], instance: String, mayLackBeginning: Bool) {
        self.bundles = bundles
        self.instance = instance
        self.mayLackBeginning = mayLackBeginning
    }

    var isAnybodyKnown: Bool { !bundles.isEmpty }

    /// - Parameter chain: that of the line before, or zeros.
    mutating func add(
        _ line: UnsafeRawBufferPointer, _ end: LineScan.End, after chain: [UInt8], file: Int, number: Int
    ) {
        guard end == .newline else { return }
        defer { isFirstLine = false }
        if RecordLine.isSignature(line) {
            return addSignature(Array(line), after: chain, file, number)
        }
        isEnded = false
        if isFirstLine, !mayLackBeginning, isAnybodyKnown {
            found(
                .unsigned, file, number,
                "the records don't begin with a signature: this isn't how a sidecar writes")
        }
        guard RecordChain.split(line) != nil else { return }
        unsignedTail += 1
        if unsignedTail == Limits.recordSignatureLines + 1 {
            found(
                .unsigned, file, number,
                "no signature over the \(Limits.recordSignatureLines) lines before: it was taken out, or a "
                    + "sidecar didn't write this")
        }
        noteTeller(line)
    }

    private mutating func found(_ kind: Kind, _ file: Int, _ line: Int, _ what: String) {
        findingCount += 1
        guard findings.count < RecordChain.breaksMaximum else { return }
        findings.append(Finding(file: file, line: line, kind: kind, what: what))
    }

    // MARK: Records

    /// Nearly every record is told by the same identity, whose bytes are compared first.
    private mutating func noteTeller(_ line: UnsafeRawBufferPointer) {
        guard let record = RecordLine(line) else { return }
        let range =
            record.bytes[record.direction].first == UInt8(ascii: "i") ? record.destination : record.source
        if record.bytes[range].elementsEqual(lastTeller) { return }
        lastTeller = Array(record.bytes[range])
        tellers.insert(record.text(range))
    }

    // MARK: Signature lines

    private mutating func addSignature(_ line: [UInt8], after chain: [UInt8], _ file: Int, _ number: Int) {
        defer {
            unsignedTail = 0
            tellers = []
            lastTeller = []
        }
        guard let (statement, signature, texts) = RecordSignatures.read(line, after: chain) else {
            return found(.badSignature, file, number, "the signature line can't be read")
        }
        let made: CertificateChain
        switch certificateChain(texts) {
        case .success(let chain): made = chain
        case .failure(let error): return found(.badSignature, file, number, "its certificate: \(error)")
        }
        guard statement.isValid(signature: signature, by: made.leaf.signingKey) else {
            return found(
                .badSignature, file, number,
                "the signature isn't over these lines, or not by this certificate's key")
        }
        guard isOwn(statement, made.leaf) else {
            return found(
                .otherSigner, file, number,
                "it is signed for instance \(made.leaf.instance?.description.prefix(16) ?? "-"), and these are "
                    + "the records of \(instance.prefix(16))")
        }
        guard let identity = judge(made, at: statement.time, file, number) else { return }
        for teller in tellers.sorted() where teller != identity {
            found(
                .otherSigner, file, number,
                "records before it are told by \(teller), and signed by \(identity)")
        }
        count += 1
        isEnded = statement.mark == .end
        if signers.last != identity { signers.append(identity) }
        if serials.last != made.leaf.serial { serials.append(made.leaf.serial) }
    }

    private func isOwn(_ statement: RecordSignature, _ leaf: Certificate) -> Bool {
        guard leaf.instance == statement.instance else { return false }
        return instance.utf8.count != 32 || statement.instance.description == instance
    }

    /// Whom the domain took the signer for, at that time; nil where it didn't.
    private mutating func judge(
        _ chain: CertificateChain, at time: WallTime, _ file: Int, _ number: Int
    ) -> String? {
        guard isAnybodyKnown else { return chain.leaf.identity?.description ?? "nobody" }
        // What a certificate's end closes is recorded after it, and signed within its time.
        let skew = Limits.peerClockSkew + Limits.recordSignatureSpan
        var failure: TrustError?
        for bundle in bundles {
            do throws(TrustError) {
                return try bundle.verify(chain, at: time, skew: skew).identity.description
            } catch { failure = failure ?? error }
        }
        found(
            .untrusted, file, number,
            "who signed isn't proved: \(failure.map { "\($0)" } ?? "no trust domain"); where the domain's roots "
                + "have changed since, give the trust bundle of that time by --bundle")
        return nil
    }

    private mutating func certificateChain(
        _ texts: [String]
    ) -> Result<CertificateChain, CertificateError> {
        if let known = certificates[texts] { return known }
        let made: Result<CertificateChain, CertificateError>
        do throws(CertificateError) {
            guard texts.count == 2, let leaf = [UInt8](hex: texts[0]), let issuer = [UInt8](hex: texts[1])
            else { throw .invalid(field: "encoding") }
            made = .success(
                CertificateChain(
                    leaf: try Certificate(canonical: leaf), issuer: try Certificate(canonical: issuer)))
        } catch { made = .failure(error) }
        // A sidecar renews twice an hour; more than this is nobody's.
        if certificates.count < 4096 { certificates[texts] = made }
        return made
    }

    private static func read(
        _ line: [UInt8], after chain: [UInt8]
    ) -> (statement: RecordSignature, signature: [UInt8], certificates: [String])? {
        guard let json = JSON(parsing: line),
            let mark = json["mark"].text.flatMap(RecordSignature.Mark.init(rawValue:)),
            let instance = json["instance"].text.flatMap({ [UInt8](hex: $0) }).flatMap(InstanceID.init),
            let incarnation = json["incarnation"].integer.flatMap({ UInt64(exactly: $0) }),
            let time = json["time"].text.flatMap(WallClock.milliseconds(rfc3339:)),
            let signature = json["signature"].text.flatMap({ [UInt8](hex: $0) })
        else { return nil }
        let statement = RecordSignature(
            mark: mark, instance: instance, incarnation: incarnation,
            time: WallTime(milliseconds: Int64(time)), chain: chain)
        return (statement, signature, json["certificates"].list.compactMap(\.text))
    }
}
