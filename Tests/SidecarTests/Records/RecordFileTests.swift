import Foundation
import Glibc
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite("Records on disk")
struct RecordFileTests {
    @Test("each line ends in a hash over the line and the hash before it")
    func chain() throws {
        try withFolder { folder in
            let path = folder + "/a/b/r.jsonl"
            var file = RecordFile(path: path)
            #expect(write([record(1), record(2)], to: &file).written == 2)
            file.close()
            let lines = try lines(of: path)
            #expect(lines.count == 2)
            #expect(links(lines))
            #expect(!links([lines[0].replacingFirst("outbound", "inbound"), lines[1]]))
            #expect(!links([lines[1]]))
        }
    }

    @Test("a later writer goes on with the chain of an earlier one")
    func chainGoesOn() throws {
        try withFolder { folder in
            let path = folder + "/r.jsonl"
            for number in 1...3 {
                var file = RecordFile(path: path)
                #expect(write([record(UInt64(number))], to: &file).written == 1)
                file.close()
            }
            let lines = try lines(of: path)
            #expect(lines.count == 3 && links(lines))
        }
    }

    @Test("a later writer goes on with the chain over a rotation, and behind a torn line")
    func chainGoesOnBehind() throws {
        try withFolder { folder in
            let path = folder + "/r.jsonl"
            func write(_ number: UInt64) {
                var file = RecordFile(path: path)
                #expect(self.write([record(number)], to: &file).written == 1)
                file.close()
            }
            write(1)
            try #require(rename(path, path + ".1") == 0)
            write(2)
            let torn = open(path, O_WRONLY | O_APPEND)
            try #require(Glibc.write(torn, "{\"time\":\"2026", 13) == 13)
            close(torn)
            write(3)
            let older = try lines(of: path + ".1")
            let newer = try lines(of: path)
            #expect(newer.count == 3 && newer[1] == "{\"time\":\"2026")
            #expect(links(older + [newer[0], newer[2]]))
        }
    }

    @Test("files and folders are their owner's alone")
    func modes() throws {
        try withFolder { folder in
            let path = folder + "/ns/name/r.jsonl"
            var file = RecordFile(path: path)
            _ = write([record(1)], to: &file)
            file.close()
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(stat(folder + "/ns/name", &status) == 0 && status.st_mode & 0o777 == 0o700)
        }
    }

    @Test("a full file is kept as the first older one, the fifth goes")
    func rotation() throws {
        try withFolder { folder in
            let path = folder + "/r.jsonl"
            // Sparse files, as if much had been written.
            for number in 1...6 {
                let old = open(path, O_WRONLY | O_CREAT, 0o600)
                ftruncate(old, off_t(Limits.recordFileBytesMaximum - 1))
                close(old)
                var file = RecordFile(path: path)
                #expect(write([record(UInt64(number)), record(0)], to: &file).written == 2)
                file.close()
            }
            for number in 1..<Limits.recordFilesMaximum { #expect(access("\(path).\(number)", F_OK) == 0) }
            #expect(access("\(path).\(Limits.recordFilesMaximum)", F_OK) != 0)
        }
    }

    @Test("a disk that takes nothing keeps the records waiting, and says why")
    func fullDisk() throws {
        var file = RecordFile(path: "/dev/full")
        for _ in 0..<2 {
            let outcome = write([record(1)], to: &file)
            #expect(outcome.written == 0 && outcome.lines == 0)
            #expect(outcome.failure?.code == ENOSPC)
        }
    }

    // MARK: -

    /// By nobody who could sign.
    private func write(_ records: [FlowRecord], to file: inout RecordFile) -> RecordFile.Outcome {
        var signer = RecordSigner(instance: InstanceID([UInt8](repeating: 1, count: 16))!, incarnation: 1)
        return file.write(records, signer: &signer, at: Now.current())
    }

    private func record(_ bytes: UInt64) -> FlowRecord {
        FlowRecord(
            time: WallTime(milliseconds: 0), event: .open, flow: FlowID([UInt8](repeating: 7, count: 16)),
            direction: .outbound, port: ServicePort(80, .tcp),
            source: .init(identity: "spiffe://a/ns/b/w/c", version: "1", endpoint: nil),
            destination: .init(
                identity: "spiffe://a/ns/b/w/d", version: "2",
                endpoint: Endpoint(IPAddress(v4: 0xC612_0101), 80)),
            isAllowed: true, rule: "calls[0] b/d",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 1, count: 32))!,
            decisionEpoch: 3, bytesSent: bytes, bytesReceived: 0, durationMilliseconds: 5, reason: nil)
    }

    /// Whether each line's chain follows from the one before.
    private func links(_ lines: [String]) -> Bool {
        var chain = [UInt8](repeating: 0, count: 32)
        for line in lines {
            let marker = #","chain":""#
            let parts = line.split(separator: marker, maxSplits: 1)
            guard parts.count == 2 else { return false }
            chain = BLAKE2b.hash(Array(parts[0].utf8), key: chain)
            guard parts[1] == chain.hex + "\"}" else { return false }
        }
        return true
    }

    private func lines(of path: String) throws -> [String] {
        let bytes = try #require(SmallFile.read(path))
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/mesh-records-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try #require(mkdir(folder, 0o700) == 0)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}

extension String {
    fileprivate func replacingFirst(_ old: String, _ new: String) -> String {
        split(separator: old, maxSplits: 1).joined(separator: new)
    }
}
