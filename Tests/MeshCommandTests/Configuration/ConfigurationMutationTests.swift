import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct ConfigurationMutationTests {
    /// Bytes that mean something to YAML, and some that mean nothing to anybody.
    private static let spice =
        Array("[]{}:,-?&*!|>'\"%@`#~ \n\t\r\\0179/.x".utf8) + [0x00, 0x85, 0xC2, 0xE2, 0xEF, 0xFF]

    @Test("no damage to a config file ends the process, and what is taken reads the same when printed")
    func mutations() throws {
        var random = SplitMix(state: 0x6D65_7368)
        let original = Array(ConfigurationRoundTripTests.full.utf8)
        var taken = 0
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0...Int(random.next() % 6) { Self.mutate(&bytes, &random) }
            let compiled = try? ConfigurationCompiler.compile(bytes, file: "web.yaml").configuration
            guard let compiled else { continue }
            taken += 1
            let printed = Array(YAMLText.file(compiled).utf8)
            let again = try ConfigurationCompiler.compile(printed, file: "printed").configuration
            #expect(again == compiled, "\(String(decoding: bytes, as: UTF8.self))")
            #expect(try WorkloadConfiguration(canonical: compiled.encoded()) == compiled)
        }
        #expect(taken > 100, "too little is taken for this test to mean anything: \(taken)")
    }

    static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
        let spice = ConfigurationMutationTests.spice
        let place = Int(random.next() % UInt64(max(1, bytes.count)))
        switch random.next() % 5 {
        case 0: bytes[place] = spice[Int(random.next() % UInt64(spice.count))]
        case 1: bytes.insert(spice[Int(random.next() % UInt64(spice.count))], at: place)
        case 2: bytes.remove(at: place)
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + Int(random.next() % 40)))
        default:
            let end = min(bytes.count, place + Int(random.next() % 40))
            bytes.insert(contentsOf: Array(bytes[place..<end]), at: Int(random.next() % UInt64(bytes.count)))
        }
    }
}

/// SplitMix64, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
