import Glibc
import Sidecar
import SidecarProtocol
import Testing

/// What the sidecar believes of a stack that an attacker has taken over.
@Suite("A lying userland stack", .serialized, .enabled(if: World.isPermitted, "needs user namespaces"))
struct LyingStackTests {
    private func begin(
        _ lie: String, _ prepare: @escaping @Sendable (StackClient) -> Void = { _ in }
    ) throws -> (bench: ClientBench, path: String) {
        let path = World.temporaryFolder() + "/" + lie
        symlink(World.folder + "/liar.py", path)
        let bench = try ClientBench(executable: path)
        bench.perform(prepare)
        // A frame, so that it starts.
        bench.world.start("raw_hex 5255c61200010200000000010800")
        return (bench, path)
    }

    private func end(_ bench: ClientBench, _ path: String) {
        bench.stop()
        unlink(path)
        rmdir(String(path[..<path.lastIndex(of: "/")!]))
    }

    @Test(
        "is ended, and nothing that it says is handed on",
        arguments: [
            "version", "nonsense", "command", "foreign-source", "outside", "own-address", "egress-inside",
            "unasked-flow", "stray-descriptor",
        ])
    func liesAtOnce(lie: String) throws {
        let (bench, path) = try begin(lie)
        defer { end(bench, path) }
        let first = bench.next { Optional($0) }
        guard case .ended(let reason)? = first else {
            Issue.record("\(lie): \(String(describing: first))")
            return
        }
        #expect(reason != "it closed its socket")
    }

    @Test(
        "may open flows unasked only from its workload to where it serves",
        arguments: ["unserved-flow", "served-flow-of-another", "no-descriptor"])
    func liesWhereServed(lie: String) throws {
        let (bench, path) = try begin(lie) { $0.serve(StackClientTests.peer) }
        defer { end(bench, path) }
        if lie == "no-descriptor" {
            let id = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
            bench.perform { $0.answer(id, .open) }
        }
        let next = bench.next { Optional($0) }
        guard case .ended("it broke the protocol")? = next else {
            Issue.record("\(lie): \(String(describing: next))")
            return
        }
    }

    @Test(
        "is ended when a flow isn't what was asked for",
        arguments: [
            "repeated", "unanswered-flow", "other-addresses", "no-descriptor", "pipe", "host-socket",
            "listener",
        ])
    func liesAboutFlows(lie: String) throws {
        let (bench, path) = try begin(lie)
        defer { end(bench, path) }
        let id = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        if lie != "unanswered-flow", lie != "repeated" { bench.perform { $0.answer(id, .open) } }
        let next = bench.next { Optional($0) }
        guard case .ended("it broke the protocol")? = next else {
            Issue.record("\(lie): \(String(describing: next))")
            return
        }
    }

    @Test("the same words pass when they are true")
    func truth() throws {
        let (bench, path) = try begin("truth")
        defer { end(bench, path) }
        let id = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        bench.perform { $0.answer(id, .open) }
        let flow = try #require(bench.next { if case .opened(let flow, id) = $0 { flow } else { nil } })
        #expect(fcntl(flow, F_GETFL) & O_NONBLOCK != 0)
        close(flow)
    }
}
