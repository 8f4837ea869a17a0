// A signed policy on its way into force on this host: to the node, and from it to every sidecar.

import Glibc
import SidecarProtocol

struct PolicyRollout {
    struct Place {
        let workload: String
        let instance: String
        /// Whether its sidecar states the new head.
        let isDone: Bool
        let problem: String
    }

    let policy: SignedPolicy
    private(set) var places: [Place] = []
    /// Flows that ended by it, each counted once though both of its ends may be here.
    private(set) var flowsCut = 0
    /// From the moment it was handed over until the last sidecar stated its head.
    private(set) var milliseconds = 0
    /// Whether no node runs, so that the policy waits on the disk for the next one.
    private(set) var waitsOnDisk = false

    /// Hands the policy over, and waits until every sidecar here decides by it, so many seconds at most.
    init(_ policy: SignedPolicy, _ paths: MeshPaths, within seconds: Int) throws {
        self.policy = policy
        let start = monotonicMilliseconds()
        waitsOnDisk = try !PolicyLink.send(policy, paths)
        while true {
            let instances = try Instance.all(in: paths)
            places = instances.map { place($0) }
            milliseconds = monotonicMilliseconds() - start
            if places.allSatisfy(\.isDone) || milliseconds >= seconds * 1000 {
                flowsCut = PolicyRollout.flowsCut(instances, by: policy.head)
                return
            }
            usleep(5_000)
        }
    }

    private func place(_ instance: Instance) -> Place {
        let head = instance.policyHead
        let problem =
            if case .failure(let failure) = instance.status {
                "its sidecar \(failure.description)"
            } else if let head {
                "it states the head \(head)"
            } else {
                "it states no head"
            }
        let isDone = head.map { $0 == policy.head || $0.epoch > policy.head.epoch } ?? false
        return Place(
            workload: instance.workload, instance: instance.id, isDone: isDone,
            problem: isDone ? "" : problem)
    }

    /// Both ends of a flow may be here: ids that are told are counted once, and what is beyond them as it is.
    private static func flowsCut(_ instances: [Instance], by head: PolicyHead) -> Int {
        var ids: Set<String> = []
        var others = 0
        for change in instances.map({ $0.report["policy"]["change"] })
        where change["hash"].text == head.hash.hex {
            let told = change["cut"].list.compactMap(\.text)
            ids.formUnion(told)
            others += max(0, (change["flows_cut"].integer ?? 0) - told.count)
        }
        return ids.count + others
    }

    var isDone: Bool { places.allSatisfy(\.isDone) }

    /// What a command says of it.
    ///
    /// - Parameter what: what has been done, as the first words of the line.
    func answer(_ what: String, notes: [String] = [], json isJSON: Bool) -> Answer {
        let exitCode: Int32 = isDone ? 0 : 1
        if isJSON { return Answer(text: "\(json)\n", exitCode: exitCode) }
        var lines = ["\(what): epoch \(policy.head.epoch), \(policy.head.hash.prefix(8).hex)"]
        if waitsOnDisk {
            lines.append("no node runs here; the next one takes it from the disk")
        } else {
            let done = places.count(where: \.isDone)
            lines.append(
                "\(done) of \(places.count) sidecars here decide by it after \(milliseconds) ms,"
                    + " \(flowsCut) \(flowsCut == 1 ? "flow was" : "flows were") cut")
        }
        lines += notes
        let missing = places.filter { !$0.isDone }.map { place in
            "mesh: \(place.workload) (\(place.instance.prefix(8))) doesn't decide by it yet: \(place.problem);"
                + " see its sidecar.log\n"
        }
        return Answer(
            text: lines.map { Table.visible($0) + "\n" }.joined(), exitCode: exitCode,
            warning: missing.joined())
    }

    private var json: JSON {
        .object([
            "epoch": .number("\(policy.head.epoch)"), "hash": .text(policy.head.hash.hex),
            "node": .bool(!waitsOnDisk), "flows_cut": .number(flowsCut),
            "milliseconds": .number(milliseconds),
            "sidecars": .list(
                places.map {
                    .object([
                        "workload": .text($0.workload), "instance": .text($0.instance),
                        "done": .bool($0.isDone), "problem": $0.isDone ? .null : .text($0.problem),
                    ])
                }),
        ])
    }
}
