// Records as a sidecar writes them, with the chain that it gives them.

import SidecarProtocol

@testable import MeshCommand

struct RecordFixture {
    static let id = "00112233445566778899aabbccddeeff"

    var event = "open"
    var id: String? = RecordFixture.id
    var direction = "outbound"
    var time = "2026-01-01T00:00:00.000Z"
    var port = 8080
    var source = "spiffe://d/ns/default/w/client"
    var destination = "spiffe://d/ns/default/w/web"
    var destinationAddress = "198.18.3.4:8080"
    var verdict = "allow"
    var rule = "calls[0] default/web"
    var sent = 0
    var received = 0
    var reason: String?

    /// Without the chain and the end of the object.
    var body: String {
        #"{"time":"\#(time)","event":"\#(event)","flow_id":\#(id.map { "\"\($0)\"" } ?? "null"),"#
            + #""direction":"\#(direction)","protocol":"tcp","port":\#(port),"#
            + #""src":{"identity":"\#(source)","version":"1","addr":"198.18.9.9:40000"},"#
            + #""dst":{"identity":"\#(destination)","version":"2","addr":"\#(destinationAddress)"},"#
            + #""verdict":"\#(verdict)","rule":"\#(rule)","#
            + #""policy":{"name":"config","head":{"epoch":0,"hash":"\#(String(repeating: "01", count: 32))"}},"#
            + #""decision_epoch":3,"bytes_sent":\#(sent),"bytes_recv":\#(received),"duration_ms":5,"#
            + #""reason":\#(reason.map { "\"\($0)\"" } ?? "null")"#
    }

    var json: String { body + "}" }

    /// The lines of these records, chained from `chain` on.
    static func lines(_ records: [RecordFixture], from chain: [UInt8] = RecordChain.beginning) -> [String] {
        var chain = chain
        return records.map { record in
            chain = BLAKE2b.hash(Array(record.body.utf8), key: chain)
            return record.body + #","chain":"\#(chain.hex)"}"#
        }
    }

    static func file(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }

    /// Some that differ.
    static func some(_ count: Int) -> [RecordFixture] {
        (0..<count).map { RecordFixture(time: "2026-01-01T00:00:0\($0 % 10).000Z", sent: $0) }
    }
}
