import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite("Where peers dial")
struct PeerListenerTests {
    @Test(
        "an endpoint is an address and a port",
        arguments: [("127.0.0.1:7000", "127.0.0.1:7000"), ("[::1]:80", "[::1]:80")])
    func parsing(_ text: String, _ endpoint: String) throws {
        #expect(try PeerListener.parse(text, of: "listen").description == endpoint)
    }

    @Test(
        "anything else is refused with its key and text",
        arguments: ["", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "host:80", ":80"])
    func refusal(_ text: String) {
        let failure = #expect(throws: SystemError.self) { try PeerListener.parse(text, of: "listen") }
        #expect(failure?.description.contains("listen: \"\(text)\"") == true)
    }
}
