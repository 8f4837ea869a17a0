import NIOCore
import NIOPosix
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("A drill on an event loop", .serialized)
struct DrillRunTests {
    @Test("canary flows over real sessions are cut at both ends, and nothing moves after")
    func cuts() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let result: Result<CutDrill, DrillRun.DrillFailure> = try await loop.flatSubmit {
            let promise = loop.makePromise(of: Result<CutDrill, DrillRun.DrillFailure>.self)
            do {
                var run: DrillRun?
                run = try DrillRun(samples: 20, on: loop) { outcome in
                    promise.succeed(outcome)
                    run = nil
                }
                run?.start()
            } catch { promise.fail(error) }
            return promise.futureResult
        }.get()
        let drill = try result.get()
        #expect(drill.samples.count == 20)
        #expect(drill.bytesAfterCut == 0)
        #expect(drill.samples.allSatisfy { $0 > 0 })
        try await group.shutdownGracefully()
    }
}
