import Glibc
import Testing

@testable import Launcher

@Suite("Wait statuses")
struct WaitStatusTests {
    @Test("the four forms")
    func forms() {
        #expect(WaitStatus(raw: 0) == .exited(code: 0))
        #expect(WaitStatus(raw: 0xFF00) == .exited(code: 255))
        #expect(WaitStatus(raw: SIGKILL) == .killed(signal: SIGKILL))
        #expect(WaitStatus(raw: SIGABRT | 0x80) == .killed(signal: SIGABRT), "with a core file")
        #expect(WaitStatus(raw: 0x7F | SIGSTOP << 8) == .stopped(signal: SIGSTOP))
        #expect(WaitStatus(raw: 0xFFFF) == .continued)
    }
}
