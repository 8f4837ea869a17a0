import Glibc
import SidecarProtocol
import Transport

/// The listener's state machines alone: slots, first flights, sessions. Everything runs on one thread and in
/// real time, so that an honest handshake waits for the strangers before it, as at the acceptor.
struct StateMachineFlood {
    let rate: Int
    let seconds: Int

    private static let interval: UInt64 = 10_000_000

    func run() -> Never {
        let domain = BenchDomain()
        let (web, client) = (domain.credential("web"), domain.credential("client"))
        let source = CredentialSource(web)
        let target = DialTarget(
            endpoints: [], staticKey: web.staticKey.publicKey, workload: domain.name("web"),
            topic: TopicID([UInt8](repeating: 3, count: 16))!, versions: 1...1)
        let flights = StateMachineFlood.bogus(1_000, target, client)
        var slots = HandshakeSlots<Int>()
        var gate = FirstFlightGate(source.firstFlightKeys)
        var (waits, strangers): ([UInt64], Int) = ([], 0)
        _ = honest(&gate, source, target, client)
        let before = StateMachineFlood.residentBytes()
        let begin = Now.current().monotonic
        let end = UInt64(seconds) * 1_000_000_000
        while true {
            let now = Now.current()
            let passed = (now.monotonic - begin).nanoseconds
            guard passed < end else { break }
            // Those that have arrived by now, before the honest one that is due.
            while UInt64(strangers) * 1_000_000_000 < passed * UInt64(rate) {
                stranger(strangers, flights[strangers % flights.count], &gate, &slots)
                strangers += 1
            }
            let due = UInt64(waits.count) * StateMachineFlood.interval
            if due <= passed {
                guard honest(&gate, source, target, client) else { fatalError("an honest handshake failed") }
                waits.append((Now.current().monotonic - begin).nanoseconds - due)
            }
        }
        let after = StateMachineFlood.residentBytes()
        waits.sort()
        print(
            "bogus/s \(strangers / seconds), honest \(waits.count), p50 \(waits[waits.count / 2] / 1_000) us,"
                + " p99 \(waits[waits.count * 99 / 100] / 1_000) us, memory +\(max(0, after - before) / 1024) KiB"
        )
        exit(0)
    }

    private func stranger(
        _ number: Int, _ flight: [UInt8], _ gate: inout FirstFlightGate, _ slots: inout HandshakeSlots<Int>
    ) {
        let now = Now.current().monotonic
        let source = ConnectionSource(IPAddress(v4: 0x0A00_0000 + UInt32(number % 5_000)))
        guard slots.isInTime(source, at: now) else { return }
        // One in eight says nothing, and keeps its slot until it is pushed out.
        guard number % 8 != 0 else {
            _ = slots.hold(number, from: source, at: now)
            return
        }
        let verdict = flight.withUnsafeBytes { gate.judge($0) }
        precondition(verdict == .refused, "a bogus first flight was answered")
    }

    private func honest(
        _ gate: inout FirstFlightGate, _ source: CredentialSource, _ target: DialTarget,
        _ credential: Credential
    ) -> Bool {
        func ephemeral() -> X25519KeyPair { X25519KeyPair(secret: .random()) }
        let now = Now.current()
        guard
            var caller = try? Session(
                dialling: target, credential: credential, makeEphemeral: ephemeral, at: now)
        else { return false }
        var callee = Session(accepting: source, makeEphemeral: ephemeral, at: now)
        guard pass(&caller, &callee, now, by: { gate.judge($0) == .passes }),
            pass(&callee, &caller, now), pass(&caller, &callee, now)
        else { return false }
        return caller.isEstablished && callee.isEstablished
    }

    private func pass(
        _ sender: inout Session, _ receiver: inout Session, _ now: Now,
        by isRight: (UnsafeRawBufferPointer) -> Bool = { _ in true }
    ) -> Bool {
        var bytes = [UInt8](repeating: 0, count: sender.flushByteCount)
        guard let size = try? bytes.withUnsafeMutableBytes({ try sender.flush(into: $0) }) else {
            return false
        }
        guard bytes[..<size].withUnsafeBytes(isRight) else { return false }
        var out = [UInt8](repeating: 0, count: size)
        var at = 0
        // The last message of the handshake may have records behind it.
        while at < size {
            let taken = bytes[at..<size].withUnsafeBytes { rest -> Int? in
                guard let unit = try? receiver.unitByteCount(rest), unit <= rest.count else { return nil }
                let bytes = UnsafeRawBufferPointer(rebasing: rest[..<unit])
                return out.withUnsafeMutableBytes {
                    (try? receiver.receive(bytes, into: $0, at: now)) == nil ? nil : unit
                }
            }
            guard let taken else { return false }
            at += taken
        }
        return true
    }

    /// Of the right form and for the right domain, with random message and tag.
    private static func bogus(_ count: Int, _ target: DialTarget, _ credential: Credential) -> [[UInt8]] {
        let preamble = Preamble(
            pattern: .xk, offered: 1...1, chosen: 1, domain: credential.bundle.id, topic: target.topic)
        return (0..<count).map { _ in
            let message = (0..<48).map { _ in UInt8.random(in: 0...255) }
            return FirstFlight.encode(preamble, message: message, key: [UInt8.random(in: 0...255)])
        }
    }

    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }
}

/// A trust domain with a root, an issuer, and leaves of any name.
private struct BenchDomain {
    private let bundle: TrustBundle
    private let issuer: Certificate
    private let issuerKey = SigningKeyPair(seed: .random())
    private let now = Now.current().wall.seconds

    init() {
        let rootKey = SigningKeyPair(seed: .random())
        let (begin, end) = (WallTime(seconds: now - 86_400), WallTime(seconds: now + 864_000))
        let root = try! CertificateContents(
            kind: .root, trustDomain: "bench.test", subject: nil, signingKey: rootKey.publicKey,
            notBefore: begin, notAfter: end, serial: 1
        ).signed(by: rootKey)
        var contents = CertificateContents(
            kind: .issuer, trustDomain: "bench.test", subject: .host("one"), signingKey: issuerKey.publicKey,
            notBefore: begin, notAfter: end, serial: 2)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        issuer = try! contents.signed(by: rootKey)
        bundle = try! TrustBundle(firstOf: "bench.test", roots: [root])
    }

    func name(_ name: String) -> WorkloadName { try! WorkloadName(namespace: "default", name: name) }

    func credential(_ workload: String) -> Credential {
        let (staticKey, signingKey) = (X25519KeyPair(secret: .random()), SigningKeyPair(seed: .random()))
        var contents = CertificateContents(
            kind: .leaf, trustDomain: "bench.test", subject: .workload(name(workload)),
            signingKey: signingKey.publicKey, notBefore: WallTime(seconds: now - 300),
            notAfter: WallTime(seconds: now + 3_600), serial: 10)
        contents.instance = InstanceID([UInt8](repeating: 1, count: 16))
        contents.staticKey = staticKey.publicKey
        return Credential(
            certificate: try! contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: staticKey, signingKey: signingKey, policyHead: .initial(of: bundle.id),
            discoveryKey: DiscoveryKey([UInt8](repeating: 9, count: 32))!)
    }
}
