import Foundation
import Glibc
import SidecarProtocol
import Simulator
import Synchronization
import Testing
import Transport

@testable import Sidecar

@Suite("Records on their way to the disk")
struct RecordWriterTests {
    @Test("the writer has everything on disk when it is closed, signed, and refuses more")
    func writer() throws {
        try Bench.with { bench in
            let writer = bench.writer()
            writer.renew(bench.credential(1))
            for number in 0..<1000 { writer.append(bench.record(UInt64(number))) }
            #expect(writer.close(atMost: .seconds(30)))
            let lines = try bench.lines()
            let signatures = lines.indices.filter { lines[$0].contains(#""event":"signature""#) }
            #expect(lines.count == 1000 + signatures.count)
            #expect(writer.counts.lines == UInt64(lines.count))
            #expect(writer.counts.signatures == UInt64(signatures.count))
            #expect(signatures.first == 0 && signatures.last == lines.count - 1)
            for (one, next) in zip(signatures, signatures.dropFirst()) {
                #expect(next - one <= Limits.recordSignatureLines + 1)
            }
            #expect(lines[0].contains(#""mark":"begin""#) && lines.last!.contains(#""mark":"end""#))
            writer.append(bench.record(1))
            #expect(writer.counts.written == 1000 && writer.counts.dropped == 1)
        }
    }

    @Test("each signature is over the line before, by the key of the certificate beside it")
    func signatures() throws {
        try Bench.with { bench in
            let first = bench.credential(1)
            let second = bench.credential(2)
            var signer = bench.signer
            signer.adopt(first)
            var file = RecordFile(path: bench.path)
            #expect(file.write([bench.record(1)], signer: &signer, at: bench.now).failure == nil)
            signer.adopt(second)
            #expect(
                file.write([bench.record(2)], signer: &signer, isLast: true, at: bench.now).signatures == 1)
            let lines = try bench.lines()
            #expect(lines.count == 4)
            for (place, mark, credential) in [(0, RecordSignature.Mark.begin, first), (3, .end, second)] {
                let chain =
                    place == 0
                    ? [UInt8](repeating: 0, count: 32)
                    : [UInt8](hex: String(lines[place - 1].suffix(66).prefix(64)))!
                let statement = RecordSignature(
                    mark: mark, instance: bench.instance, incarnation: 7, time: bench.now.wall, chain: chain)
                let text = try #require(lines[place].split(separator: #""signature":""#).last)
                let signature = try #require([UInt8](hex: String(text.prefix(128))))
                #expect(statement.isValid(signature: signature, by: credential.signingKey.publicKey))
                #expect(lines[place].contains(credential.certificate.encoded.hex))
                #expect(lines[place].contains(credential.chain[0].encoded.hex))
            }
        }
    }

    @Test("a file that is full ends in a signature, and the next goes on with the chain")
    func rotation() throws {
        try Bench.with { bench in
            var signer = bench.signer
            signer.adopt(bench.credential(1))
            var file = RecordFile(path: bench.path)
            _ = file.write([bench.record(1)], signer: &signer, at: bench.now)
            file.close()
            // As if much had been written.
            try #require(truncate(bench.path, off_t(Limits.recordFileBytesMaximum - 2)) == 0)
            file = RecordFile(path: bench.path)
            let outcome = file.write([bench.record(2), bench.record(3)], signer: &signer, at: bench.now)
            #expect(outcome.written == 2 && outcome.failure == nil)
            let file1 = try #require(FileHandle(forReadingAtPath: bench.path + ".1"))
            try file1.seek(toOffset: UInt64(Limits.recordFileBytesMaximum) - 1)
            let older = String(decoding: try file1.readToEnd() ?? Data(), as: UTF8.self)
            #expect(older.hasSuffix("\n"))
            #expect(older.split(separator: "\n").last?.contains(#""mark":"rotation""#) == true)
            #expect(try bench.lines().count == 1)
        }
    }

    @Test("an older file that is full already is rotated before anything is written")
    func fullAlready() throws {
        try Bench.with { bench in
            close(open(bench.path, O_WRONLY | O_CREAT, 0o600))
            try #require(truncate(bench.path, off_t(Limits.recordFileBytesMaximum)) == 0)
            var signer = bench.signer
            var file = RecordFile(path: bench.path)
            #expect(file.write([bench.record(1)], signer: &signer, at: bench.now).written == 1)
            #expect(try bench.lines().count == 1)
        }
    }

    @Test("a disk that refuses presses at once, keeps what waits, and writes it all once it can")
    func diskFull() async throws {
        try await Bench.withAsync { bench in
            let told = Mutex<[Bool]>([])
            // A folder where the file should be refuses every write.
            try #require(mkdir(bench.path, 0o700) == 0)
            let writer = bench.writer { isPressed in told.withLock { $0.append(isPressed) } }
            writer.renew(bench.credential(1))
            writer.begin()
            for number in 0..<10 { writer.append(bench.record(UInt64(number))) }
            try await eventually { told.withLock { $0 } == [true] }
            #expect(writer.counts.written == 0 && writer.counts.failed == 0)
            try #require(rmdir(bench.path) == 0)
            try await eventually { told.withLock { $0 } == [true, false] }
            #expect(writer.close(atMost: .seconds(30)))
            #expect(writer.counts.written == 10 && writer.counts.dropped == 0 && writer.counts.gaps == 0)
            #expect(try bench.lines().count == 12)
        }
    }

    @Test("what finds no room is lost, counted, and stands in the file as a gap")
    func overflow() async throws {
        try await Bench.withAsync { bench in
            try #require(mkdir(bench.path, 0o700) == 0)
            let writer = bench.writer()
            writer.renew(bench.credential(1))
            let room = Limits.recordQueueMaximum
            for number in 0..<(room + 5) { writer.append(bench.record(UInt64(number))) }
            #expect(writer.counts.dropped == 5)
            try #require(rmdir(bench.path) == 0)
            try await eventually { writer.counts.gaps == 1 }
            #expect(writer.close(atMost: .seconds(30)))
            let lines = try bench.lines()
            let gap = try #require(lines.first { $0.contains(#""event":"gap""#) })
            #expect(gap.contains(#""lost":5"#), "\(gap)")
            #expect(writer.counts.written == UInt64(room))
            #expect(writer.counts.lines == UInt64(lines.count))
        }
    }

    @Test("what a disk refuses until the end is counted")
    func never() throws {
        try Bench.with { bench in
            try #require(mkdir(bench.path, 0o700) == 0)
            let writer = bench.writer()
            writer.append(bench.record(1))
            #expect(writer.close(atMost: .seconds(30)))
            #expect(writer.counts.failed == 1 && writer.counts.written == 0)
        }
    }

    // MARK: -

    private func eventually(_ condition: () -> Bool) async throws {
        for _ in 0..<1500 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it didn't come about")
    }
}

/// A folder, and somebody who writes in it.
private final class Bench {
    let folder = "/tmp/mesh-records-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let instance = InstanceID([UInt8](repeating: 3, count: 16))!
    let now = Now.current()
    private var random = SeededRandom(seed: 1)
    private var domain: SimulatedDomain

    static func with<R>(_ body: (Bench) throws -> R) throws -> R {
        let bench = Bench()
        try #require(mkdir(bench.folder, 0o700) == 0)
        defer { try? FileManager.default.removeItem(atPath: bench.folder) }
        return try body(bench)
    }

    static func withAsync<R>(_ body: (Bench) async throws -> R) async throws -> R {
        let bench = Bench()
        try #require(mkdir(bench.folder, 0o700) == 0)
        defer { try? FileManager.default.removeItem(atPath: bench.folder) }
        return try await body(bench)
    }

    private init() { domain = SimulatedDomain(name: "bench", random: &random, at: now.wall) }

    var path: String { folder + "/r.jsonl" }
    var signer: RecordSigner { RecordSigner(instance: instance, incarnation: 7) }

    func writer(pressed: @escaping @Sendable (Bool) -> Void = { _ in }) -> RecordWriter {
        RecordWriter(path: path, signer: signer, warn: { _ in }, pressed: pressed)
    }

    func credential(_ number: Int) -> Credential {
        domain.credential(
            for: try! WorkloadName(namespace: "b", name: "c"), instance: instance,
            lifetime: Limits.leafLifetime, random: &random, at: now.wall)
    }

    func lines() throws -> [String] {
        let bytes = try #require(SmallFile.read(path))
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func record(_ bytes: UInt64) -> FlowRecord {
        FlowRecord(
            time: now.wall, event: .open, flow: FlowID([UInt8](repeating: 7, count: 16)),
            direction: .outbound, port: ServicePort(80, .tcp),
            source: .init(identity: "spiffe://bench/ns/b/w/c", version: "1", endpoint: nil),
            destination: .init(identity: "spiffe://bench/ns/b/w/d", version: "2", endpoint: nil),
            isAllowed: true, rule: "calls[0] b/d",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 1, count: 32))!,
            decisionEpoch: 3, bytesSent: bytes, bytesReceived: 0, durationMilliseconds: 5, reason: nil)
    }
}
