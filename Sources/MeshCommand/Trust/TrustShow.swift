import ArgumentParser
import SidecarProtocol

struct TrustShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the trust domain: its name, id, roots, and this host's issuer.",
        discussion:
            "Exit codes: 0 shown; 1 there is none yet (the first launch makes one), or it can't be read.")

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        guard let files = try TrustFiles(paths) else {
            return Answer(
                text: options.json
                    ? "\(JSON.object(["trust_domain": .null]))\n"
                    : "There is no trust domain in \(paths.trustFolder) yet; the first launch makes a local one.\n",
                exitCode: 1)
        }
        return Answer(text: options.json ? "\(TrustShow.json(files))\n" : TrustShow.text(files))
    }

    private static func text(_ files: TrustFiles) -> String {
        var facts = Table(["", ""])
        facts.add(["trust domain", files.bundle.trustDomain])
        facts.add(["id", files.bundle.id.description])
        facts.add(["bundle", "number \(files.bundle.sequence)"])
        facts.add([
            "root's key", files.hasRootKey ? "on this disk: a domain of this host alone" : "not on this host",
        ])
        let stage = RotationStage(bundle: files.bundle, issuer: files.issuer)
        facts.add(["rotation", stage.explanation])
        for root in files.bundle.roots {
            facts.add([
                "root", "\(root.signingKey.keyID.hex) until \(WallClock.rfc3339(Int(root.notAfter.seconds)))",
            ])
        }
        if let issuer = files.issuer {
            let names = issuer.names.map(\.description).joined(separator: ", ")
            facts.add([
                "issuer",
                "\(issuer.identity?.description ?? "?") for \(names) until "
                    + WallClock.rfc3339(Int(issuer.notAfter.seconds)),
            ])
            facts.add(["", "signed by \(issuer.issuerKeyID.hex)"])
        } else {
            facts.add(["issuer", "none that this user can read"])
        }
        // Facts have no titles: what remains of their line is its end.
        return String(facts.text.dropFirst())
    }

    private static func json(_ files: TrustFiles) -> JSON {
        func certificate(_ certificate: Certificate) -> JSON {
            .object([
                "identity": certificate.identity.map { .text($0.description) } ?? .null,
                "key_id": .text(certificate.signingKey.keyID.hex),
                "not_before": .text(WallClock.rfc3339(Int(certificate.notBefore.seconds))),
                "not_after": .text(WallClock.rfc3339(Int(certificate.notAfter.seconds))),
                "names": .list(certificate.names.map { .text($0.description) }),
                "issuer_key_id": .text(certificate.issuerKeyID.hex),
            ])
        }
        return .object([
            "trust_domain": .text(files.bundle.trustDomain), "id": .text(files.bundle.id.description),
            "sequence": .number("\(files.bundle.sequence)"),
            "rotation": .text(RotationStage(bundle: files.bundle, issuer: files.issuer).rawValue),
            "root_key_here": .bool(files.hasRootKey),
            "roots": .list(files.bundle.roots.map(certificate)),
            "issuer": files.issuer.map(certificate) ?? .null,
        ])
    }
}
