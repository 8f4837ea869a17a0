// `mesh-node issuer`: the only process that reads the issuer key.

import CLinuxShims
import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

enum IssuerProgram {
    /// Serves the listening socket that the node has left as descriptor 3, until the node ends.
    static func run() -> Int32 {
        var accepts: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let status = getsockopt(
            IssuerProcess.listenerDescriptor, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size)
        guard status == 0, accepts == 1 else {
            NodeProgram.complain("the issuer is started by mesh-node, not by hand")
            return NodeProgram.failure
        }
        _ = mesh_set_parent_death_signal(SIGKILL)
        guard getppid() != 1 else { return 0 }
        let watch: ProcessWatch
        do { watch = try ProcessWatch() } catch {
            NodeProgram.complain("\(error)")
            return NodeProgram.failure
        }
        let paths = MeshPaths.current()
        for failure in Confinement.enterAsIssuer() {
            NodeProgram.say("less well closed in than it should be: can't \(failure)")
        }
        let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        // What a domain lacks is said to whoever asks, and looked for again then.
        let source = DomainSource(paths: paths)
        let server = start(source, watch: watch, on: eventLoop)
        watch.run { event in
            switch event {
            case .signal: exit(0)
            case .ended(let token): eventLoop.execute { server.value.processEnded(token) }
            }
        }
    }

    private static func start(
        _ source: DomainSource, watch: ProcessWatch, on eventLoop: any EventLoop
    ) -> NIOLoopBound<IssuerServer> {
        let started = eventLoop.submit {
            let server = IssuerServer(source: source, watch: watch, eventLoop: eventLoop)
            server.serve(IssuerProcess.listenerDescriptor)
            return NIOLoopBound(server, eventLoop: eventLoop)
        }
        do { return try started.wait() } catch {
            NodeProgram.complain("the issuer's socket can't be served: \(error)")
            exit(NodeProgram.failure)
        }
    }
}

/// The domain, read once and again where its files have changed or its issuer must be renewed.
struct DomainSource: Sendable {
    let paths: MeshPaths
    private var domain: IssuerDomain?
    private var stamp: [DomainFiles.Stamp] = []

    init(paths: MeshPaths) {
        self.paths = paths
        _ = try? current(at: .current())
    }

    var isSystem: Bool { geteuid() == 0 }

    mutating func current(at now: Now) throws(FileError) -> IssuerDomain {
        if let domain, stamp == DomainFiles.stamp(paths), !domain.needsRenewal(at: now.wall) {
            return domain
        }
        let read = try DomainFiles.issuer(in: paths, at: now)
        stamp = DomainFiles.stamp(paths)
        domain = read
        return read
    }
}
