import Glibc
import NIOCore
import SidecarProtocol
import Transport

final class Client {
    static let shared = NIOLoopBoundBox.makeBoxSendingValue(Client(), eventLoop: eventLoop)

    private let paths = MeshPaths.current()
    private let workload = try! WorkloadName(namespace: "default", name: options.name)
    private let signingKey = SigningKeyPair(seed: Client.secret())
    private let staticKey = X25519KeyPair(secret: Client.secret())
    private var issued: IssuedCertificate?
    private var issuer: IssuerClient?
    private var node: NodeClient?
    private var sequence: UInt64 = 0

    func start() {
        let issuer = IssuerClient(path: paths.issuerSocket, eventLoop: eventLoop)
        self.issuer = issuer
        let request = IssuerRequest(
            subject: .workload(workload), isNamed: options.isNamed, instance: options.instance,
            staticKey: staticKey.publicKey, signingKey: signingKey.publicKey, workloadVersion: "1",
            configurationHash: SHA256.hash(Array(options.configuration.utf8)), joins: options.joins,
            serves: options.serves, executableDigest: nil)
        issuer.request(request, signedBy: signingKey) { result in
            switch result {
            case .failure(let error): self.say("failed \(error)")
            case .success(let issued):
                self.issued = issued
                let leaf = issued.chain.leaf
                let life = leaf.notAfter.seconds - leaf.notBefore.seconds
                self.say(
                    "certificate \(issued.bundle.trustDomain) \(life) \(leaf.topics.joined(separator: ","))")
                self.say("head \(issued.policyHead)")
                self.connect()
            }
        }
    }

    private func connect() {
        let node = NodeClient(
            path: paths.topicsSocket, instanceFolder: paths.instanceFolder(options.instance),
            launcherProcessID: options.launcher, eventLoop: eventLoop
        ) { self.handle($0) }
        self.node = node
        node.start()
    }

    private func handle(_ event: NodeClient.Event) {
        guard let issued else { return }
        switch event {
        case .connected:
            say("connected")
            register(issued)
            for name in options.subscriptions {
                node?.subscribe(
                    TopicID(
                        service: try! WorkloadName(namespace: "default", name: name),
                        discoveryKey: issued.discoveryKey))
            }
        case .announcement(let bytes, let certificates):
            let announcement = try! Announcement(canonical: bytes)
            let chain = CertificateChain(
                leaf: try! Certificate(canonical: certificates[0]),
                issuer: try! Certificate(canonical: certificates[1]))
            let isValid = (try? issued.bundle.verify(chain, at: Now.current().wall)) != nil
            say(
                "announcement \(announcement.identity) \(announcement.instance) \(announcement.incarnation)"
                    + " \(isValid ? "verified" : "unverified")")
        case .tombstone(let bytes):
            let tombstone = try! Tombstone(canonical: bytes)
            say("tombstone \(tombstone.instance) \(tombstone.incarnation)")
        case .policy(.head(let head)): say("policy \(head)")
        case .policy: break
        case .refused(let reason): say("refused \(reason)")
        case .disconnected: say("disconnected")
        }
    }

    private func register(_ issued: IssuedCertificate) {
        sequence += 1
        var announcements: [[UInt8]] = []
        if options.serves && options.isNamed {
            let topic = TopicID(service: workload, discoveryKey: issued.discoveryKey)
            let announcement = Announcement(
                topic: topic, certificate: issued.chain.leaf, incarnation: options.incarnation,
                sequence: sequence, timeToLive: .seconds(90),
                endpoints: [Endpoint(IPAddress(v4: 0x7F00_0001), 4000)], versions: 1...1)
            announcements = [try! announcement.signed(by: signingKey)]
        }
        node?.register(
            announcements: announcements,
            certificates: [issued.chain.leaf.encoded, issued.chain.issuer.encoded],
            tombstone: tombstone(issued))
        say("registered")
    }

    func withdraw() {
        guard let issued else { return }
        node?.withdraw(tombstone: tombstone(issued))
    }

    private func tombstone(_ issued: IssuedCertificate) -> [UInt8] {
        Tombstone(
            certificate: issued.chain.leaf, incarnation: options.incarnation, sequence: sequence
        ).signed(by: signingKey)
    }

    private func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    private static func secret() -> [UInt8] { (0..<32).map { _ in UInt8.random(in: 0...255) } }
}
