import Glibc
import Testing

@testable import Launcher

@Suite("Signal routes")
struct SignalRouteTests {
    static let kernel: Int32 = 0x80
    static let user: Int32 = 0
    static let queue: Int32 = -1

    @Test(
        "what the terminal sends is ignored, since the whole group has it",
        arguments: [SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGWINCH])
    func terminal(signal: Int32) {
        #expect(SignalRoute(signal: signal, code: SignalRouteTests.kernel) == .ignore)
        #expect(SignalRoute(signal: signal, code: SignalRouteTests.user) == .forward)
    }

    @Test(
        "what kill(2) and sigqueue(3) send is forwarded",
        arguments: (1...64).filter { $0 != SIGKILL && $0 != SIGSTOP })
    func sent(signal: Int32) {
        #expect(SignalRoute(signal: signal, code: SignalRouteTests.user) == .forward)
        #expect(SignalRoute(signal: signal, code: SignalRouteTests.queue) == .forward)
    }

    @Test("a child's change is the launcher's own business, a hang-up goes to who left the group")
    func special() {
        #expect(SignalRoute(signal: SIGCHLD, code: 1) == .reap)
        #expect(SignalRoute(signal: SIGHUP, code: SignalRouteTests.kernel) == .forwardToStranger)
        #expect(SignalRoute(signal: SIGALRM, code: SignalRouteTests.kernel) == .forward)
        #expect(SignalRoute(signal: SIGXCPU, code: SignalRouteTests.kernel) == .forward)
    }

    @Test("a direct signal cancels its echo once, within the window")
    func directSignals() {
        var direct = DirectSignals()
        func consume(_ signal: Int32, at time: UInt64) -> Bool { direct.consume(signal, at: time) }
        #expect(!consume(SIGTERM, at: 0))
        direct.note(SIGTERM, at: 1000)
        #expect(!consume(SIGINT, at: 1000))
        #expect(consume(SIGTERM, at: 1000 + DirectSignals.window))
        #expect(!consume(SIGTERM, at: 1000 + DirectSignals.window), "once")
        direct.note(SIGTERM, at: 5000)
        #expect(!consume(SIGTERM, at: 5001 + DirectSignals.window), "too late")
    }

    @Test("default actions")
    func defaults() {
        #expect(SignalRoute.endsByDefault(SIGTERM) && SignalRoute.endsByDefault(40))
        #expect(!SignalRoute.endsByDefault(SIGWINCH) && !SignalRoute.endsByDefault(SIGTSTP))
        #expect(SignalRoute.stopsByDefault(SIGTSTP) && !SignalRoute.stopsByDefault(SIGTERM))
    }
}
