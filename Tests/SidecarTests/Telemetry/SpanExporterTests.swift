import Foundation
import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Synchronization
import Testing

@testable import Sidecar

@Suite("Spans on their way to a collector")
struct SpanExporterTests {
    private func record(_ number: UInt8) -> FlowRecord {
        FlowRecord(
            time: WallTime(seconds: 1_800_000_000), event: .close,
            flow: FlowID([UInt8](repeating: number, count: 16)), direction: .outbound,
            port: ServicePort(80, .tcp), source: .init(identity: "a", version: "", endpoint: nil),
            destination: .init(identity: "b", version: "", endpoint: nil), isAllowed: true, rule: "",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 1, count: 32))!, decisionEpoch: 1,
            bytesSent: 0, bytesReceived: 0, durationMilliseconds: 0, reason: .finished)
    }

    private func exporter(
        _ port: UInt16, _ loop: any EventLoop, _ host: String = "127.0.0.1"
    ) throws -> SpanExporter {
        let source = SpanSource(
            workload: try WorkloadName(namespace: "a", name: "b"), version: "1",
            instance: InstanceID([UInt8](repeating: 1, count: 16))!)
        return SpanExporter(
            try TelemetryEndpoint(parsing: "http://\(host):\(port)/base"), source: source, on: loop
        ) { _ in }
    }

    /// Exports two spans and drains; what the exporter counts then.
    private func export(to port: UInt16, host: String = "127.0.0.1") async throws -> SpanQueue {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let queue = try await loop.flatSubmit {
            let promise = loop.makePromise(of: SpanQueue.self)
            do {
                let exporter = try exporter(port, loop, host)
                exporter.append(record(1))
                exporter.append(record(2))
                exporter.drain(atMost: .seconds(20)) { promise.succeed(exporter.queue) }
            } catch { promise.fail(error) }
            return promise.futureResult
        }.get()
        try await group.shutdownGracefully()
        return queue
    }

    @Test(
        "a collector gets one request with all spans, at the path that its specification names",
        arguments: ["127.0.0.1", "localhost"])
    func post(_ host: String) async throws {
        let collector = try Collector(answer: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        let queue = try await export(to: collector.port, host: host)
        #expect(queue.sentCount == 2 && queue.droppedCount == 0 && queue.isEmpty)
        let request = collector.request
        let text = String(decoding: request, as: UTF8.self)
        #expect(text.hasPrefix("POST /base/v1/traces HTTP/1.1\r\n"), "\(text.prefix(80))")
        #expect(text.contains("content-type: application/x-protobuf\r\n"))
        #expect(text.contains("host: \(host):\(collector.port)\r\n"))
        let end = try #require(Data(request).range(of: Data("\r\n\r\n".utf8)))
        let source = SpanSource(
            workload: try WorkloadName(namespace: "a", name: "b"), version: "1",
            instance: InstanceID([UInt8](repeating: 1, count: 16))!)
        #expect(Array(request[end.upperBound...]) == FlowSpans.request([record(1), record(2)], from: source))
    }

    @Test("what a collector refuses is dropped; a busy, silent or broken one leaves the spans waiting")
    func failures() async throws {
        let refusing = try Collector(answer: "HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n")
        #expect(try await export(to: refusing.port).droppedCount == 2)
        for answer in ["HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "", "garbage\r\n\r\n"] {
            let collector = try Collector(answer: answer)
            let queue = try await export(to: collector.port)
            #expect(queue.sentCount == 0 && queue.droppedCount == 0 && !queue.isEmpty, "\(answer)")
        }
        // Nobody listens.
        let queue = try await export(to: 1)
        #expect(!queue.isEmpty && queue.deadline != nil)
    }
}

/// Reads one request, answers it and closes.
private final class Collector: Sendable {
    let port: UInt16
    private let bytes = Mutex<[UInt8]>([])

    var request: [UInt8] { bytes.withLock { $0 } }

    init(answer: String) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 4) == 0
                    && getsockname(listener, $0, &size) == 0
            }
        }
        try #require(isBound)
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            let connection = accept(listener, nil, nil)
            close(listener)
            read(connection)
            _ = Array(answer.utf8).withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            close(connection)
        }
    }

    private func read(_ connection: Int32) {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(connection, &buffer, buffer.count)
            guard count > 0 else { break }
            all += buffer[..<count]
            let text = String(decoding: all, as: UTF8.self)
            guard let end = Data(all).range(of: Data("\r\n\r\n".utf8))?.upperBound,
                let length = text.split(separator: "content-length: ").dropFirst().first
                    .flatMap({ Int($0.prefix { $0.isNumber }) })
            else { continue }
            if all.count >= end + length { break }
        }
        let read = all
        bytes.withLock { $0 = read }
    }
}
