import SidecarProtocol
import Testing

@Suite("The gate before sessions")
struct FirstFlightGateTests {
    private let domain = TrustDomainID([UInt8](repeating: 1, count: 32))!
    private let old = Self.key(1)
    private let new = Self.key(2)

    private static func key(_ byte: UInt8) -> X25519KeyPair {
        X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
    }

    private func gate() -> FirstFlightGate {
        FirstFlightGate(
            FirstFlightKeys(domain: domain, staticKeys: [new.publicKey, old.publicKey]))
    }

    private func flight(
        to key: X25519KeyPair, domain: TrustDomainID? = nil, pattern: Preamble.Pattern = .xk
    ) -> [UInt8] {
        let preamble = Preamble(
            pattern: pattern, offered: 1...1, chosen: 1, domain: domain ?? self.domain,
            topic: TopicID([UInt8](repeating: 2, count: 16))!)
        let message = (0..<(pattern == .xk ? 48 : 32)).map { _ in UInt8.random(in: 0...255) }
        return FirstFlight.encode(
            preamble, message: message, key: FirstFlight.tagKey(staticKey: key.publicKey))
    }

    private func judge(_ gate: inout FirstFlightGate, _ bytes: [UInt8]) -> FirstFlightGate.Verdict {
        bytes.withUnsafeBytes { gate.judge($0) }
    }

    @Test("a flight to the newest key or to a replaced one passes, once")
    func passes() {
        var gate = gate()
        for key in [old, new] {
            let flight = flight(to: key)
            #expect(flight.count == FirstFlightGate.byteCount)
            #expect(judge(&gate, flight) == .passes)
            #expect(judge(&gate, flight) == .refused)
        }
    }

    @Test("it can't be told before the last byte has come, and what follows it doesn't matter")
    func incomplete() {
        var gate = gate()
        let flight = flight(to: new)
        for count in 0..<flight.count {
            #expect(judge(&gate, Array(flight[..<count])) == .incomplete, "\(count) bytes")
        }
        #expect(judge(&gate, flight + [1, 2, 3]) == .passes)
    }

    @Test("one changed bit anywhere is refused", arguments: 0..<120)
    func changed(at index: Int) {
        var gate = gate()
        var flight = flight(to: new)
        flight[index] ^= 1
        #expect(judge(&gate, flight) == .refused)
    }

    @Test("another key, another domain, another pattern and other bytes are refused")
    func refused() {
        var gate = gate()
        #expect(judge(&gate, flight(to: Self.key(3))) == .refused)
        let other = TrustDomainID([UInt8](repeating: 3, count: 32))!
        #expect(judge(&gate, flight(to: new, domain: other)) == .refused)
        #expect(judge(&gate, flight(to: new, pattern: .xx)) == .refused)
        #expect(judge(&gate, Array("GET / HTTP/1.1".utf8)) == .refused)
        #expect(judge(&gate, Array("X".utf8)) == .refused)
    }

    @Test("of a key that was taken away nothing passes any longer")
    func otherKeys() {
        var gate = gate()
        gate.use(FirstFlightKeys(domain: domain, staticKeys: [new.publicKey]))
        #expect(judge(&gate, flight(to: old)) == .refused)
        #expect(judge(&gate, flight(to: new)) == .passes)
    }
}
