import Foundation
import Testing

@testable import MeshCommand
@testable import SidecarProtocol

@Suite struct PolicyMutationTests {
    /// `make fuzz` sets other numbers; a failure is found again by its seed. A file takes a hundred times
    /// as long as a message.
    private static let rounds = number("MESH_FUZZ_ROUNDS").map { $0 / 100 } ?? 1_000
    private static let seed = number("MESH_FUZZ_SEED") ?? 2026

    private static func number(_ variable: String) -> Int? {
        ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
    }

    private let domain = TrustDomainID([UInt8](repeating: 1, count: 32))!

    private func compile(_ bytes: [UInt8]) throws -> PolicyDocument {
        try PolicyCompiler.compile(
            bytes, file: "p.yaml", trustDomain: "example.org", ownKey: PolicyCompilerTests.key,
            at: PolicyCompilerTests.now
        )
        .document(of: domain, epoch: 7, at: PolicyCompilerTests.now)
    }

    @Test("no damage to a policy file ends the process, and what is taken is the same when signed or printed")
    func mutations() throws {
        var random = SplitMix(state: UInt64(Self.seed))
        let original = Array(PolicyCompilerTests.everything.utf8)
        var taken = 0
        for _ in 0..<Self.rounds {
            var bytes = original
            for _ in 0...Int(random.next() % 3) {
                ConfigurationMutationTests.mutate(&bytes, &random)
            }
            guard let document = try? compile(bytes) else { continue }
            taken += 1
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(try compile(Array(PolicyText.file(document).utf8)) == document, "\(text)")
            #expect(try PolicyDocument(body: document.body()) == document, "\(text)")
        }
        #expect(taken > Self.rounds / 100, "too little is taken for this test to mean anything: \(taken)")
    }
}
