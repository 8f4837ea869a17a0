import SidecarProtocol
import Testing

@testable import Launcher

@Suite("Messages between the launcher's processes")
struct MessagesTests {
    @Test("builder reports survive the wire")
    func builder() {
        let reports: [BuilderReport] = [
            .wantsMaps, .sidecar(processID: 4711), .initial(processID: .max), .failed("no"),
            .network(SidecarNetwork(datapath: .veth, hasTAP: false, hasIPv6: true)),
        ]
        for report in reports { #expect(BuilderReport(report.encoded()) == report) }
    }

    @Test("init's reports survive the wire")
    func initReports() {
        let reports: [InitReport] = [
            .prepared, .failed(""), .notExecuted(code: 2), .stopped(signal: 20), .continued,
            .ended(waitStatus: -1),
        ]
        for report in reports { #expect(InitReport(report.encoded()) == report) }
    }

    @Test("orders survive the wire")
    func orders() {
        let orders: [InitOrder] = [
            .forward(signal: 15, value: nil), .forward(signal: 34, value: -4711), .hangUp(signal: 1),
        ]
        for order in orders { #expect(InitOrder(order.encoded()) == order) }
    }

    @Test(
        "anything else is nothing",
        arguments: [[], [0xFF], [0x80], [0x81, 0x18], [0x82, 0x02, 0x60], [0x81, 0x09]])
    func garbage(bytes: [UInt8]) {
        #expect(BuilderReport(bytes) == nil)
        #expect(InitReport(bytes) == nil || bytes == [0x82, 0x02, 0x60])
        #expect(InitOrder(bytes) == nil)
    }
}
