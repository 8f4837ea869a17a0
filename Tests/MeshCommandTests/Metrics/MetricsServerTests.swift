import Testing

@testable import MeshCommand

@Suite struct MetricsServerTests {
    @Test(
        "requests are answered by what they ask for",
        arguments: [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", "a 1\n"),
            ("GET /metrics?x=y HTTP/1.0\n\n", "HTTP/1.1 200 OK", "a 1\n"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\n"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found", "metrics are at /metrics\n"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", "use GET\n"),
            ("\u{16}\u{3}\u{1}\r\n\r\n", "HTTP/1.1 400 Bad Request", "this is not HTTP/1\n"),
        ])
    func responses(request: String, begins: String, ends: String) throws {
        let response = try #require(MetricsServer.response(to: Array(request.utf8)) { "a 1\n" })
        let text = String(decoding: response, as: UTF8.self)
        #expect(text.hasPrefix(begins) && text.hasSuffix(ends), "\(text)")
    }

    @Test("a request that isn't whole waits, and metrics that can't be had are a 503")
    func others() throws {
        #expect(MetricsServer.response(to: Array("GET /metrics HTTP/1.1\r\nHost".utf8)) { "a" } == nil)
        let response = try #require(
            MetricsServer.response(to: Array("GET /metrics HTTP/1.1\n\n".utf8)) { nil })
        #expect(String(decoding: response, as: UTF8.self).hasPrefix("HTTP/1.1 503"))
    }

    @Test(
        "an address that can't be listened on is an error with the fix",
        arguments: [
            "9464", "localhost:9464", "127.0.0.1:0", "127.0.0.1:99999", "192.0.2.1:9464",
        ])
    func addresses(address: String) {
        #expect(throws: Complaint.self) { try MetricsServer(address) }
    }
}
