import Testing

@testable import Launcher

@Suite("Notifications")
struct NotifyRelayTests {
    @Test("lines about process ids and descriptors are withheld")
    func filtered() {
        #expect(NotifyRelay.filtered("READY=1\nMAINPID=7\nSTATUS=a=b\n") == "READY=1\nSTATUS=a=b")
        #expect(NotifyRelay.filtered("FDSTORE=1\nFDNAME=x") == "")
        #expect(NotifyRelay.filtered("WATCHDOG=1") == "WATCHDOG=1")
        #expect(NotifyRelay.filtered("") == "")
    }

    @Test("a socket's name may have 107 bytes, not 108")
    func nameLimit() {
        #expect(UnixAddress("/" + String(repeating: "a", count: 106)) != nil)
        #expect(UnixAddress("/" + String(repeating: "a", count: 107)) == nil)
        #expect(UnixAddress("") == nil)
    }
}
