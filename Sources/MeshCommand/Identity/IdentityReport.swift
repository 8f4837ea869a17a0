// What sidecars say of their certificates (`GET /identity`), and the order to renew them.

import Glibc
import SidecarProtocol

struct IdentityFailure: Error {
    let text: String
}

struct IdentityReport {
    let instance: Instance
    let report: Result<JSON, IdentityFailure>

    /// Those of all of them, asked at once.
    static func ask(_ instances: [Instance]) -> [IdentityReport] {
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/identity")) })
        return zip(instances, answers).map { instance, answer in
            IdentityReport(instance: instance, report: read(answer))
        }
    }

    static func read(_ answer: Result<AdminAnswer, AdminFailure>) -> Result<JSON, IdentityFailure> {
        switch answer {
        case .failure(let failure): return .failure(IdentityFailure(text: failure.description))
        case .success(let answer):
            guard answer.isOK else { return .failure(IdentityFailure(text: "answered: \(answer.text)")) }
            guard let json = answer.json else { return .failure(IdentityFailure(text: "sent no JSON")) }
            return .success(json)
        }
    }
}

/// The order to renew the certificate at once.
enum RenewalOrder {
    /// How long a sidecar and its issuer may take, in milliseconds.
    static let patience = 5_000

    /// The new reports, or why there is none, in the order of the instances.
    static func give(_ instances: [Instance]) -> [Result<JSON, IdentityFailure>] {
        let orders = AdminClient.ask(instances.map { ($0.socket, .post("/renew")) }).map(IdentityReport.read)
        var results: [Result<JSON, IdentityFailure>?] = orders.map { order in
            if case .failure(let failure) = order { .failure(failure) } else { nil }
        }
        let deadline = monotonicMilliseconds() + patience
        while true {
            let open = results.indices.filter { results[$0] == nil }
            if open.isEmpty { break }
            let reports = IdentityReport.ask(open.map { instances[$0] })
            for (index, report) in zip(open, reports) {
                guard let before = try? orders[index].get() else { continue }
                results[index] = judge(report.report, since: before)
            }
            guard monotonicMilliseconds() < deadline else { break }
            usleep(5_000)
        }
        return results.map { $0 ?? .failure(IdentityFailure(text: "has no new certificate after 5 s")) }
    }

    /// Nil while it isn't decided.
    private static func judge(
        _ report: Result<JSON, IdentityFailure>, since before: JSON
    ) -> Result<JSON, IdentityFailure>? {
        guard case .success(let now) = report else { return report }
        if now["serial"] != before["serial"] { return report }
        guard now["renewal_failures"] != before["renewal_failures"] else { return nil }
        return .failure(
            IdentityFailure(text: "isn't renewed: \(now["renewal_problem"].text ?? "the issuer refused")"))
    }
}
