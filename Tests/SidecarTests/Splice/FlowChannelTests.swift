import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite("A workload's connection on a stream")
struct FlowChannelTests {
    @Test("bytes pass in both directions, and both ends in order finish the flow")
    func passing() async throws {
        try await withSplice { splice in
            await splice.join()
            splice.workload.send("hello")
            #expect(await splice.eventually { $0.link.sent == Array("hello".utf8) })
            await splice.run { $0.receive("world") }
            #expect(splice.workload.receive(5) == "world")
            splice.workload.shutDownOutput()
            #expect(await splice.eventually { $0.link.isFinished })
            await splice.run { $0.receive("more") }
            #expect(splice.workload.receive(4) == "more")
            await splice.run { $0.flow.receiveEnd() }
            #expect(splice.workload.receive(1) == "")
            #expect(await splice.eventually { $0.ended == .finished })
        }
    }

    @Test("the workload's end comes through after the peer's, too")
    func peerEndsFirst() async throws {
        try await withSplice { splice in
            await splice.join()
            await splice.run { $0.flow.receiveEnd() }
            #expect(splice.workload.receive(1) == "")
            splice.workload.send("late")
            #expect(await splice.eventually { $0.link.sent == Array("late".utf8) })
            splice.workload.shutDownOutput()
            #expect(await splice.eventually { $0.link.isFinished && $0.ended == .finished })
            #expect(await splice.eventually { $0.link.resetReason == nil })
        }
    }

    @Test("a workload's reset resets the stream")
    func workloadResets() async throws {
        try await withSplice { splice in
            await splice.join()
            splice.workload.abort()
            #expect(await splice.eventually { $0.link.resetReason == .workloadReset })
            #expect(await splice.eventually { $0.ended == .workloadReset })
        }
    }

    @Test("a workload's reset after the peer's end is no orderly end")
    func workloadResetsAfterPeerEnded() async throws {
        try await withSplice { splice in
            await splice.join()
            await splice.run { $0.flow.receiveEnd() }
            #expect(splice.workload.receive(1) == "")
            splice.workload.abort()
            #expect(await splice.eventually { $0.ended == .workloadReset && !$0.link.isFinished })
        }
    }

    @Test("a peer's reset, and a cut, reset the workload's socket", arguments: [true, false])
    func resets(isCut: Bool) async throws {
        try await withSplice { splice in
            await splice.join()
            await splice.run { isCut ? $0.flow.cut(.policy) : $0.flow.receiveReset(.policy) }
            #expect(splice.workload.receiveError() == ECONNRESET)
            #expect(await splice.eventually { $0.ended == (isCut ? nil : .policy) })
        }
    }

    @Test("nothing is read before the flow has a stream, unless the workload has ended")
    func waiting() async throws {
        try await withSplice { splice in
            splice.workload.send("early")
            splice.workload.shutDownOutput()
            #expect(await splice.eventually { $0.flow.heldByteCount == 5 })
            #expect(await splice.eventually { $0.ended == nil })
            await splice.join()
            #expect(await splice.eventually { $0.link.sent == Array("early".utf8) && $0.link.isFinished })
        }
    }

    @Test("a full link stops the workload, and a ready one lets it go on")
    func backPressureFromLink() async throws {
        try await withSplice { splice in
            await splice.run { $0.link.room = 1 << 20 }
            await splice.join()
            let total = 24 << 20
            let sender = splice.workload.sendInBackground(byteCount: total)
            #expect(await splice.eventually { $0.link.sent.count >= 1 << 20 })
            let stopped = await splice.run { $0.link.sent.count }
            #expect(stopped < 2 << 20)
            await splice.run {
                $0.link.room = .max
                $0.flow.becameSendable()
            }
            #expect(await splice.eventually { $0.link.sent.count == total })
            sender.wait()
        }
    }

    @Test("a flow isn't over while the link keeps bytes of it")
    func endWithFullLink() async throws {
        try await withSplice { splice in
            await splice.run { $0.link.room = 1 }
            await splice.join()
            await splice.run { $0.flow.receiveEnd() }
            #expect(splice.workload.receive(1) == "")
            splice.workload.send("last")
            splice.workload.shutDownOutput()
            #expect(await splice.eventually { $0.link.sent == Array("last".utf8) })
            #expect(await splice.eventually { $0.flow.workloadEnded })
            #expect(await splice.run { $0.ended == nil && !$0.link.isFinished })
            await splice.run { $0.flow.becameSendable() }
            #expect(await splice.eventually { $0.link.isFinished && $0.ended == .finished })
        }
    }

    @Test("the peer gets credit only for what the workload's socket took")
    func backPressureFromWorkload() async throws {
        try await withSplice { splice in
            await splice.join()
            let block = String(repeating: "x", count: 1 << 20)
            for _ in 0..<16 { await splice.run { $0.receive(block) } }
            let credit = await splice.run { $0.link.consumedByteCount }
            #expect(credit < 16 << 20)
            await splice.run { $0.flow.receiveEnd() }
            #expect(splice.workload.receiveAll().count == 16 << 20)
            #expect(await splice.eventually { $0.link.consumedByteCount == 16 << 20 })
        }
    }

    @Test("both ends at once, with bytes on the way, lose none of them")
    func simultaneousEnds() async throws {
        try await withSplice { splice in
            await splice.join()
            let block = String(repeating: "y", count: 8 << 20)
            await splice.run {
                $0.receive(block)
                $0.flow.receiveEnd()
            }
            splice.workload.send("bye")
            splice.workload.shutDownOutput()
            #expect(await splice.eventually { $0.link.isFinished })
            #expect(splice.workload.receiveAll().count == 8 << 20)
            #expect(await splice.eventually { $0.ended == .finished })
            #expect(await splice.run { $0.link.sent } == Array("bye".utf8))
        }
    }

    private func withSplice(_ body: (SpliceFixture) async throws -> Void) async throws {
        let splice = try await SpliceFixture()
        try await body(splice)
        await splice.end()
    }
}
