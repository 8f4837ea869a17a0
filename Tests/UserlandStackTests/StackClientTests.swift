import CLinuxShims
import Glibc
import NIOCore
import NIOPosix
import Sidecar
import SidecarProtocol
import Testing

/// The sidecar's side against the real process, on a real TAP.
@Suite(
    "The sidecar's client of the userland stack", .serialized,
    .enabled(if: World.isPermitted, "needs user namespaces"))
struct StackClientTests {
    static let peer = Endpoint(IPAddress(v4: 0xC612_0708), 80)

    @Test("nothing runs until the first frame; then the workload is asked for, and served")
    func firstFrame() throws {
        let bench = try ClientBench()
        defer { bench.stop() }
        #expect(!bench.isRunning)
        bench.world.start("connect 198.18.7.8 80 a")
        let asked = try #require(bench.next { if case .asked(let id, let to) = $0 { (id, to) } else { nil } })
        #expect(asked.1 == Self.peer && bench.isRunning)
        bench.perform { $0.answer(asked.0, .open) }
        let flow = try #require(bench.next { if case .opened(let flow, asked.0) = $0 { flow } else { nil } })
        defer { close(flow) }
        #expect(bench.world.answer().split(separator: " ").count == 2)
        #expect(bench.world.run("say a hello") == "said")
        #expect(flow.text() == "hello")

        bench.world.start("udp 198.18.0.53 53 query")
        let datagram = try #require(
            bench.next {
                if case .received(let data, let source, let to) = $0 { (data, source, to) } else { nil }
            })
        #expect(datagram.0 == Array("query".utf8))
        bench.perform { $0.send(Array("answer".utf8), from: datagram.2, to: datagram.1) }
        #expect(bench.world.answer() == "6 answer")
        bench.world.start("udp 198.18.7.8 99 x")
        let lost = try #require(
            bench.next { if case .received(_, let source, let to) = $0 { (source, to) } else { nil } })
        bench.perform { $0.refuse(datagramFrom: lost.0, to: lost.1) }
        #expect(bench.world.answer() == "ECONNREFUSED")
    }

    @Test("a process that dies is replaced at the next frame, and knows the allow-list")
    func restart() throws {
        let bench = try ClientBench()
        defer { bench.stop() }
        let unlisted = Endpoint(IPAddress(v4: 0x5DB8_D822), 443)
        // Nobody is at this address of ours, so that the attempt ends at once.
        let listed = Endpoint(IPAddress(v4: 0x0A63_0001), 9)
        bench.perform { #expect($0.allow(listed, until: nil)) }
        #expect(bench.world.run("connect 93.184.216.34 443") == "ECONNREFUSED")
        let first = try #require(bench.next { if case .egress(let report) = $0 { report } else { nil } })
        #expect(first.event == .refused(.notAllowed, attempts: 1))
        #expect(Endpoint(first.tuple.destination) == unlisted)

        bench.killProcess()
        #expect(bench.next { if case .ended = $0 { true } else { nil } } == true)
        #expect(!bench.isRunning)
        // The first frame may be one that the kernel sends again.
        bench.world.start("connect 198.18.7.8 80")
        let id = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        bench.perform { $0.answer(id, .refuse) }
        #expect(bench.world.answer() == "ECONNREFUSED")
    }

    @Test("where an address is served nothing is asked, in the next process too, until it is withdrawn")
    func served() throws {
        let bench = try ClientBench()
        defer { bench.stop() }
        bench.perform { $0.serve(Self.peer) }
        for _ in 0..<2 {
            bench.world.start("connect 198.18.7.8 80 a")
            let event = try #require(bench.next { Optional($0) })
            guard case .opened(let flow, _) = event else {
                Issue.record("\(event)")
                return
            }
            #expect(bench.world.answer().split(separator: " ").count == 2)
            flow.write("hello")
            #expect(bench.world.run("hear a") == "hello")
            close(flow)
            bench.killProcess()
            #expect(bench.next { if case .ended = $0 { true } else { nil } } == true)
        }
        bench.world.start("connect 198.18.7.8 80 a")
        let flow = try #require(bench.next { if case .opened(let flow, _) = $0 { flow } else { nil } })
        close(flow)
        _ = bench.world.answer()
        bench.perform { $0.withdraw(Self.peer) }
        bench.world.start("connect 198.18.7.8 80 b")
        let id = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        bench.perform { $0.answer(id, .refuse) }
        #expect(bench.world.answer() == "ECONNREFUSED")
    }

    @Test("a question of an ended process finds no answer in the next")
    func generations() throws {
        let bench = try ClientBench()
        defer { bench.stop() }
        bench.world.start("connect 198.18.7.8 80")
        let old = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        bench.killProcess()
        #expect(bench.next { if case .ended = $0 { true } else { nil } } == true)
        // The workload's kernel repeats its SYN.
        let new = try #require(bench.next { if case .asked(let id, _) = $0 { id } else { nil } })
        #expect(new != old)
        bench.perform { $0.answer(old, .open) }
        bench.perform { $0.answer(new, .refuse) }
        #expect(bench.world.answer() == "ECONNREFUSED")
    }

    @Test("an executable that isn't one is tried again, ever more slowly, and said")
    func noExecutable() throws {
        let bench = try ClientBench(executable: "/nowhere/mesh-sidecar")
        defer { bench.stop() }
        bench.world.start("udp 198.18.7.8 9 x")
        for _ in 0..<2 {
            let reason = try #require(bench.next { if case .ended(let reason) = $0 { reason } else { nil } })
            #expect(reason.contains("/nowhere/mesh-sidecar"))
        }
    }

    @Test("the allow-list takes so many endpoints and no more, none in loopback, none of IPv6")
    func allowances() throws {
        let bench = try ClientBench()
        defer { bench.stop() }
        bench.perform { client in
            let soon = MonotonicTime(nanoseconds: .max - 1)
            let loopback = Endpoint(IPAddress(v4: 0x7F00_0001), 80)
            #expect(!client.allow(loopback, until: nil))
            let inward = Endpoint(IPAddress(v4: 0x0A00_0001), 80)
            #expect(!client.allow(inward, until: soon) && client.allow(inward, until: nil))
            #expect(!client.allow(Endpoint(IPAddress(Array(repeating: 1, count: 16))!, 80), until: nil))
            for port in 1..<Limits.stackAllowancesMaximum / 2 {
                #expect(client.allow(Endpoint(IPAddress(v4: 0x5DB8_D822), UInt16(port)), until: soon))
            }
            #expect(!client.allow(Endpoint(IPAddress(v4: 0x5DB8_D823), 1), until: soon))
            client.revoke(inward)
            #expect(client.allow(Endpoint(IPAddress(v4: 0x5DB8_D823), 1), until: soon))
        }
    }
}
