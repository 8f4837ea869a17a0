// Spans of flows at a collector, and what the mesh leaves alone: the traces of workloads.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct TelemetryTests {
    /// Answers with the headers that it was sent.
    private static let echo = """
        import http.server
        class Echo(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = "".join(f"{name}: {value}\\n" for name, value in self.headers.items()).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.send_header("traceparent", self.headers.get("traceparent", "none"))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *arguments):
                pass
        http.server.HTTPServer(("0.0.0.0", 8080), Echo).serve_forever()
        """

    @Test(
        "traceparent and tracestate reach the other workload byte for byte, and come back",
        arguments: Setting.pairs)
    func traceContext(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client"],
                command: mesh.python("echo", TelemetryTests.echo))
            try await web.listens(on: 8080)
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            let outcome = try await mesh.run(
                "client", calls: ["web"],
                command: [
                    "curl", "-sSi", "-H", "TraceParent: \(parent)", "-H", "tracestate: a=b,c=d",
                    "http://web.mesh:8080/",
                ])
            // The name's capitals too: nothing between the two reads HTTP.
            #expect(outcome.output.contains("TraceParent: \(parent)\n"), "\(outcome)")
            #expect(outcome.output.contains("tracestate: a=b,c=d\n"))
            #expect(outcome.output.contains("traceparent: \(parent)\r\n"))
        }
    }

    @Test("a collector gets a span of each end of a flow, joined in one trace", arguments: Setting.one)
    func spans(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let source = URL(filePath: #filePath).deletingLastPathComponent().appending(
                path: "otlp-collector.py")
            let collector = try mesh.start(
                try mesh.python("collector", String(contentsOf: source, encoding: .utf8)), as: "collector")
            let port = try await awaited("the collector's port: \(collector.error)") {
                collector.output.split(separator: "\n").first.flatMap {
                    $0.split(separator: " ").dropFirst().first
                }
                .flatMap { Int($0) }
            }
            let otlp = ["--otlp", "http://127.0.0.1:\(port)"]
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client"], options: otlp,
                command: mesh.python("echo", TelemetryTests.echo))
            try await web.listens(on: 8080)
            let page = try await mesh.run(
                "client", calls: ["web"], options: otlp, command: Curl.page("http://web.mesh:8080/"))
            #expect(page.isSuccess, "\(page)")
            let (caller, _) = try await mesh.closedFlow(from: "client", to: "web")
            let flow = caller["flow_id"].text
            // The client ended at once: its last span was sent on the way out.
            let spans = try await awaited("two spans; there are \(collector.output)") {
                let all = collector.output.split(separator: "\n").dropFirst().compactMap {
                    try? JSON(parsing: String($0))
                }.filter { $0["trace"].text == flow }
                return all.count == 2 ? all : nil
            }
            let client = try #require(spans.first { $0["kind"].number == 3 })
            let server = try #require(spans.first { $0["kind"].number == 2 })
            #expect(client["resource"]["service.name"].text == "client")
            #expect(server["resource"]["service.name"].text == "web")
            #expect(server["parent"].text == client["span"].text && client["parent"].text == "")
            let sent = client["attributes"]["mesh.bytes_sent"].number
            #expect(sent == caller["bytes_sent"].number)
            #expect(server["attributes"]["mesh.bytes_received"].number == sent)
            #expect(client["attributes"]["mesh.destination.identity"].text?.hasSuffix("/w/web") == true)
            #expect((client["end"].number ?? 0) >= (client["start"].number ?? 1))
            let metrics = try await web.metrics()
            #expect(metrics.contains("mesh_spans_sent_total 1\n"))
            for running in [web, collector] { try await running.end() }
        }
    }

    @Test("a collector that isn't there costs flows nothing", arguments: Setting.one)
    func absent(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let options = ["--otlp", "http://127.0.0.1:1"]
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client"], options: options,
                command: mesh.python("echo", TelemetryTests.echo))
            try await web.listens(on: 8080)
            let page = try await mesh.run(
                "client", calls: ["web"], options: options, command: Curl.page("http://web.mesh:8080/"))
            #expect(page.isSuccess, "\(page)")
            try await eventually("a warning") {
                let log = try await web.instanceFolder() + "/sidecar.log"
                return try String(contentsOfFile: log, encoding: .utf8).contains("spans aren't taken")
            }
            #expect(try await web.metrics().contains("mesh_spans_sent_total 0\n"))
        }
    }
}

extension Running {
    /// `GET /metrics`.
    func metrics() async throws -> String {
        let socket = try await instanceFolder() + "/admin.sock"
        return try await mesh.host("curl", "-sS", "--unix-socket", socket, "http://sidecar/metrics").output
    }
}
