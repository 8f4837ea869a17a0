// The records of flows that sidecars leave.

import Foundation
import Testing

extension Mesh {
    /// Every record of all instances of a workload, oldest first.
    func records(of workload: String, namespace: String = "default") -> [JSON] {
        let folder = "\(state)/records/\(namespace)/\(workload)"
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let lines = files.flatMap { file in
            ((try? String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)) ?? "").split(separator: "\n")
        }
        return lines.compactMap { try? JSON(parsing: String($0)) }
            .sorted { ($0["time"].text ?? "") < ($1["time"].text ?? "") }
    }

    /// The last closed flow between two workloads that both have on record, by its id.
    func closedFlow(from caller: String, to callee: String) async throws -> (caller: JSON, callee: JSON) {
        func closed(_ workload: String) -> [JSON] {
            records(of: workload).filter { record in
                record["event"].text == "close"
                    && record["src"]["identity"].text?.hasSuffix("/w/\(caller)") == true
                    && record["dst"]["identity"].text?.hasSuffix("/w/\(callee)") == true
            }
        }
        return try await awaited(
            "a closed flow on both records; \(caller): \(records(of: caller)), \(callee): \(records(of: callee))"
        ) {
            for ours in closed(caller).reversed() {
                if let theirs = closed(callee).last(where: { $0["flow_id"].text == ours["flow_id"].text }) {
                    return (ours, theirs)
                }
            }
            return nil
        }
    }
}

extension Running {
    /// Bytes sent so far on open flows with a caller.
    func bytesSent(to caller: String) async throws -> Int {
        try await admin("/flows")["flows"].list
            .filter { $0["src"]["identity"].text?.hasSuffix("/w/\(caller)") == true }
            .reduce(0) { $0 + ($1["bytes_sent"].number ?? 0) }
    }
}
