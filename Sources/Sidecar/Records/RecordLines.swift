// Lines of a records file, on their way to it.

import SidecarProtocol
import Transport

/// Gathers lines, with their chain and the signatures that are due between them. What it holds counts
/// once it is written: its owner takes `chain` and `signer` over then, and else drops both.
struct RecordLines {
    private var lines: JSONWriter
    private(set) var chain: [UInt8]
    private(set) var signer: RecordSigner
    private(set) var count = 0
    private(set) var signatures = 0
    private let now: Now

    init(chain: [UInt8], signer: RecordSigner, now: Now, capacity: Int) {
        self.chain = chain
        self.signer = signer
        self.now = now
        lines = JSONWriter(capacity: capacity)
    }

    var bytes: [UInt8] { lines.bytes }

    mutating func add(_ record: FlowRecord) {
        signIfDue()
        addLine { record.write(to: &$0) }
        signer.wrote(at: now.monotonic)
    }

    mutating func add(_ gap: RecordGap) {
        signIfDue()
        let time = now.wall
        addLine { line in
            line.member("time", time.rfc3339)
            line.member("event", "gap")
            line.member("cause", gap.cause.rawValue)
            line.member("lost", gap.lost)
            line.member("from", gap.from.rfc3339)
            line.member("until", gap.until.rfc3339)
        }
        signer.wrote(at: now.monotonic)
    }

    /// Signs what stands here, if its time has come.
    mutating func sign(isLast: Bool, isFull: Bool) {
        if isLast { return sign(.end) }
        if isFull { return sign(.rotation) }
        signIfDue()
        if let deadline = signer.deadline, deadline <= now.monotonic { sign(.periodic) }
    }

    private mutating func signIfDue() {
        if let mark = signer.markDue { sign(mark) }
    }

    private mutating func sign(_ mark: RecordSignature.Mark) {
        let certificates = signer.certificates
        guard let (statement, signature) = signer.sign(mark, chain: chain, at: now) else { return }
        addLine { line in
            line.member("time", statement.time.rfc3339)
            line.member("event", "signature")
            line.member("mark", statement.mark.rawValue)
            line.member("instance", hex: statement.instance.bytes)
            line.member("incarnation", statement.incarnation)
            line.member("certificates", strings: certificates.map(\.hex))
            line.member("signature", hex: signature)
        }
        signatures += 1
    }

    /// Each line ends in the hash of the line up to that member.
    private mutating func addLine(_ body: (inout JSONWriter) -> Void) {
        let start = lines.bytes.count
        lines.object { line in
            body(&line)
            chain = line.bytes.withUnsafeBytes {
                BLAKE2b.hash(UnsafeRawBufferPointer(rebasing: $0[start...]), key: chain)
            }
            line.member("chain", hex: chain)
        }
        lines.endLine()
        count += 1
    }
}
