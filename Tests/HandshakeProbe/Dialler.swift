import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Gets a certificate and an announcement as a sidecar does, and then only shakes hands.
final class Dialler {
    private let callee: WorkloadName
    private let count: Int
    /// Milliseconds between two handshakes.
    private let pause: UInt32
    private let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()

    init(_ name: String, count: Int, pause: UInt32) {
        callee = try! WorkloadName(namespace: "default", name: name)
        self.count = count
        self.pause = pause
    }

    func run() -> Never {
        let (target, credential) = try! Finding.find(callee, on: loop).wait()
        for _ in 0..<count {
            let begin = Now.current().monotonic
            if let failure = Dialler.shakeHands(target, credential) {
                print("failed \(failure)")
            } else {
                print((Now.current().monotonic - begin).nanoseconds / 1_000)
            }
            fflush(nil)
            usleep(pause * 1_000)
        }
        exit(0)
    }

    /// Until the callee has proved itself, within 10 seconds.
    private static func shakeHands(_ target: DialTarget, _ credential: Credential) -> String? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(connection) }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(connection, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = target.endpoints[0].port.bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return "connect: \(String(cString: strerror(errno)))" }
        do {
            var session = try Session(
                dialling: target, credential: credential,
                makeEphemeral: { X25519KeyPair(secret: .random()) }, at: .current())
            try send(&session, connection)
            var (received, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 16_384))
            while !session.isEstablished {
                let size = recv(connection, &chunk, chunk.count, 0)
                guard size > 0 else { return size == 0 ? "closed" : String(cString: strerror(errno)) }
                received += chunk[..<size]
                guard let unit = try received.withUnsafeBytes({ try session.unitByteCount($0) }),
                    received.count >= unit
                else { continue }
                var out = [UInt8](repeating: 0, count: unit)
                try received.prefix(unit).withUnsafeBytes { bytes in
                    try out.withUnsafeMutableBytes {
                        _ = try session.receive(bytes, into: $0, at: .current())
                    }
                }
                try send(&session, connection)
            }
            return nil
        } catch { return "\(error)" }
    }

    private static func send(_ session: inout Session, _ connection: Int32) throws {
        var out = [UInt8](repeating: 0, count: session.flushByteCount)
        let size = try out.withUnsafeMutableBytes { try session.flush(into: $0) }
        _ = Glibc.send(connection, out, size, Int32(MSG_NOSIGNAL))
    }
}

/// A certificate from this user's issuer, and the callee's announcement from its node.
private final class Finding {
    typealias Found = (DialTarget, Credential)

    private let callee: WorkloadName
    private let promise: EventLoopPromise<Found>
    private let issuer: IssuerClient
    private let instance = InstanceID((0..<16).map { _ in UInt8.random(in: 0...255) })!
    private let staticKey = X25519KeyPair(secret: .random())
    private let signingKey = SigningKeyPair(seed: .random())
    private var node: NodeClient?

    private init(_ callee: WorkloadName, _ promise: EventLoopPromise<Found>, on loop: any EventLoop) {
        self.callee = callee
        self.promise = promise
        issuer = IssuerClient(path: MeshPaths.current().issuerSocket, eventLoop: loop)
    }

    static func find(_ callee: WorkloadName, on loop: any EventLoop) -> EventLoopFuture<Found> {
        let promise = loop.makePromise(of: Found.self)
        loop.execute {
            let finding = Finding(callee, promise, on: loop)
            finding.begin(on: loop)
            let bound = NIOLoopBound(finding, eventLoop: loop)
            promise.futureResult.whenComplete { _ in withExtendedLifetime(bound) {} }
        }
        return promise.futureResult
    }

    private func begin(on loop: any EventLoop) {
        let workload = try! WorkloadName(namespace: "default", name: "prober")
        let request = IssuerRequest(
            subject: .workload(workload), isNamed: true, instance: instance, staticKey: staticKey.publicKey,
            signingKey: signingKey.publicKey, workloadVersion: "", configurationHash: SHA256.hash([]),
            joins: true, serves: false, executableDigest: nil)
        issuer.request(request, signedBy: signingKey) { [self] result in
            switch result {
            case .failure(let error): promise.fail(error)
            case .success(let issued): subscribe(issued, on: loop)
            }
        }
    }

    private func subscribe(_ issued: IssuedCertificate, on loop: any EventLoop) {
        let topic = TopicID(service: callee, discoveryKey: issued.discoveryKey)
        let credential = Credential(
            certificate: issued.chain.leaf, chain: [issued.chain.issuer], bundle: issued.bundle,
            staticKey: staticKey, signingKey: signingKey, policyHead: issued.policyHead,
            discoveryKey: issued.discoveryKey)
        let paths = MeshPaths.current()
        node = NodeClient(
            path: paths.topicsSocket, instanceFolder: paths.instanceFolder(instance), launcherProcessID: 0,
            eventLoop: loop
        ) { [self] event in
            switch event {
            case .connected: node?.subscribe(topic)
            case .announcement(let bytes, _):
                guard let announcement = try? Announcement(canonical: bytes) else { return }
                promise.succeed(
                    (
                        DialTarget(
                            endpoints: announcement.endpoints, staticKey: announcement.staticKey,
                            workload: callee, topic: topic, versions: announcement.versions), credential
                    ))
            case .policy, .refused, .tombstone, .disconnected: break
            }
        }
        node?.start()
    }
}
