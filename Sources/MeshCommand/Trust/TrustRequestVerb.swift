import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustRequestVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "Ask for this host's issuer certificate in a trust domain.",
        discussion: """
            Makes the issuer's key, which stays here, and writes the request that the root's keeper signs. Asked \
            again, it repeats the request with the same key.

            Exit codes: 0 written; 1 not so.
            """)

    @OptionGroup var options: ReportOptions
    @Option(help: "This host's name in the domain: one label.") var host: String?
    @Option(help: "The file to write.") var out = "mesh-trust.request"

    func answer() throws -> Answer {
        let paths = options.place.paths
        let name = host ?? TrustRequestVerb.hostName()
        guard WorkloadName.isLabel(name) else {
            throw Complaint("\(name) isn't one label of a-z, 0-9 and -", fix: "name the host by --host")
        }
        try KeyFiles.makeFolder(paths.state)
        if FileStatus(paths.requestedKeyFile) == nil {
            try KeyFiles.create(
                paths.requestedKeyFile, try KeyFiles.random().withUnsafeBytes { Array($0) })
        }
        let key = SigningKeyPair(seed: try KeyFiles.key(paths.requestedKeyFile))
        let request = TrustRequest(host: name, issuerKey: key.publicKey)
        try KeyFiles.create(out, request.signed(by: key))
        let keyID = key.publicKey.keyID.hex
        if options.json {
            let facts: JSON = .object(["request": .text(out), "host": .text(name), "key_id": .text(keyID)])
            return Answer(text: "\(facts)\n")
        }
        return Answer(
            text: """
                \(out) asks for host \(name), with the key \(keyID)
                The root's keeper compares that key and runs: mesh trust sign \(out) --root FOLDER

                """)
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.lowercased().split(separator: ".").first.map(String.init) ?? ""
    }
}
