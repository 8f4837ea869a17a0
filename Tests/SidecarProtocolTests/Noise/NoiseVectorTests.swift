import Foundation
import SidecarProtocol
import Testing

@Suite struct NoiseVectorTests {
    /// `shared/corpus/noise` beside any folder above this file; nil where there is none.
    private static func corpus(_ file: String) -> String? {
        var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            let path = folder.appendingPathComponent("shared/corpus/noise/\(file)").path
            if FileManager.default.isReadableFile(atPath: path) { return path }
            folder.deleteLastPathComponent()
        }
        return nil
    }

    private static func report(_ name: String, _ vectors: [NoiseVector]) {
        let counts = Dictionary(grouping: vectors) { $0.protocolName.split(separator: "_")[4] }
            .map { "\($0.key) \($0.value.count)" }.sorted()
        print("noise vectors: \(name) \(vectors.count) (\(counts.joined(separator: ", ")))")
    }

    @Test(
        "every applicable vector of the corpus gives its bytes, both ways",
        arguments: [("cacophony", 177), ("snow", 153)])
    func corpusVectors(name: String, expected: Int) throws {
        guard let path = Self.corpus("\(name).txt") else {
            print("SKIPPED: noise vectors of \(name): shared/corpus/noise isn't beside the project")
            return
        }
        let vectors = try NoiseVector.json(path)
        #expect(vectors.count == expected)
        for vector in vectors { #expect(try vector.mismatches() == []) }
        Self.report(name, vectors)
    }

    @Test("every applicable vector of flynn/noise gives its bytes, both ways")
    func flynnVectors() throws {
        let path = "/usr/share/gocode/src/github.com/flynn/noise/vectors.txt"
        guard FileManager.default.isReadableFile(atPath: path) else {
            print("SKIPPED: noise vectors of flynn: install golang-github-flynn-noise-dev")
            return
        }
        let vectors = try NoiseVector.keyValue(path)
        #expect(vectors.count == 720)
        for vector in vectors { #expect(try vector.mismatches() == []) }
        Self.report("flynn", vectors)
    }

    @Test("the patterns of the product are those of the specification")
    func productPatterns() {
        #expect(NoisePatterns.pattern(named: "XK") == .XK)
        #expect(NoisePatterns.pattern(named: "XX") == .XX)
    }

    @Test("a vector with one wrong bit fails, so that these tests can")
    func canFail() throws {
        guard let path = Self.corpus("cacophony.txt") else { return }
        let vector = try #require(
            try NoiseVector.json(path).first { $0.protocolName == "Noise_XK_25519_ChaChaPoly_SHA256" })
        #expect(try vector.mismatches() == [])
        for index in vector.messages.indices {
            var wrong = vector
            wrong.messages[index].ciphertext[0] ^= 1
            #expect(try wrong.mismatches() != [], "message \(index)")
        }
        var wrong = vector
        wrong.handshakeHash?[0] ^= 1
        #expect(try wrong.mismatches() == ["Noise_XK_25519_ChaChaPoly_SHA256: handshake hash"])
    }
}
