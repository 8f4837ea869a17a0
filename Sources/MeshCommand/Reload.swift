import ArgumentParser
import SidecarProtocol

struct Reload: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Take over what changed in a workload's config file, while it runs.",
        discussion: """
            serves, accepts, calls, egress, records and otlp become what the file says, also where it leaves them \
            out, and what the flags of mesh-launch added to it; flows that are no longer allowed end at once, the \
            others go on. Keys that only a new start can change are kept where the file doesn't name them, and \
            refused where it names another value.

            Exit codes: 0 taken over; 1 refused, and the old configuration stays; 2 the file is wrong, and \
            the old configuration stays.
            """)

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String

    @Option(
        name: .customLong("config"),
        help: "The config file; the one that the workload was started with, without it.",
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @OptionGroup var domain: DomainOption
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let instances = try Instance.named(workload, in: options.place.paths)
        // All are compiled before the first is told: a wrong file must not reach half of them.
        var bodies: [[UInt8]] = []
        for instance in instances { bodies.append(try configuration(for: instance).encoded()) }
        let results = AdminClient.ask(zip(instances, bodies).map { ($0.socket, .post("/reload", $1)) })
        var outcomes = Outcomes(json: options.json)
        for (instance, result) in zip(instances, results) {
            switch result {
            case .success(let answer) where answer.isOK:
                let changed = answer.json?["changed"].list.compactMap(\.text) ?? []
                outcomes.add(
                    instance,
                    changed.isEmpty ? "nothing changed" : "took over \(changed.joined(separator: ", "))",
                    ["changed": .list(changed.map(JSON.text))])
            case .success(let answer):
                let reason = answer.text.isEmpty ? "status \(answer.status)" : answer.text
                outcomes.fail(
                    instance, "refused the configuration: \(reason)",
                    fix: "the old one stays; correct the file, or start the workload anew")
            case .failure(let failure):
                outcomes.fail(
                    instance, failure.description, fix: "the old configuration stays; see mesh status")
            }
        }
        return outcomes.answer
    }

    private func configuration(for instance: Instance) throws -> WorkloadConfiguration {
        let path = try file ?? Reload.path(of: instance)
        let compiled = try ConfigurationSource.compile(path, domain.trustDomain)
        // A file that is named here must be the workload's own. The one that it was started with is, even
        // where --name gave the workload another name than the file does.
        guard file == nil || compiled.configuration.workload.description == instance.workload else {
            throw Complaint(
                "\(path) is the configuration of \(compiled.configuration.workload), not of \(instance.workload)",
                fix: "give the workload's own file by --config", exitCode: 2)
        }
        let flags = instance.flags
        var merged = compiled.onto(instance.configuration)
        flags.extend(&merged)
        if flags.givesCommand, let running = instance.configuration { merged.command = running.command }
        if let contradiction = merged.contradictions().first {
            throw Complaint(
                "\(path), with the flags that \(instance.workload) was started with: \(contradiction.error.what)",
                fix: contradiction.error.fix, exitCode: 2)
        }
        return merged
    }

    private static func path(of instance: Instance) throws(Complaint) -> String {
        let answer: AdminAnswer
        switch AdminClient.ask(instance.socket, .get("/config")) {
        case .success(let success): answer = success
        case .failure(let failure):
            throw Complaint(
                "\(instance.workload) (\(instance.label)) \(failure.description)", fix: "see mesh status")
        }
        guard let path = answer.json?["config_path"].text else {
            throw Complaint(
                "\(instance.workload) was started without a config file", fix: "give one by --config FILE")
        }
        guard path.hasPrefix("/") else {
            throw Complaint(
                "the config file of \(instance.workload), \(path), lies relative to a folder that isn't known",
                fix: "give it by --config FILE")
        }
        return path
    }
}

extension CompiledConfiguration {
    /// This configuration, with the running one's values for those keys that only a new start can change
    /// and that the file doesn't name. Of the keys that permit something nothing is kept, so that a line taken out of
    /// the file takes the permission away; what flags permit is put over it again (`LaunchFlags`).
    func onto(_ running: WorkloadConfiguration?) -> WorkloadConfiguration {
        guard let running else { return configuration }
        var merged = configuration
        merged.workload = running.workload
        merged.isNamed = running.isNamed
        if !keys.contains("version") { merged.version = running.version }
        if !keys.contains("command") || merged.command.isEmpty { merged.command = running.command }
        if !keys.contains("user") { merged.user = running.user }
        if !keys.contains("datapath") { merged.datapath = running.datapath }
        if !keys.contains("consistency") { merged.consistency = running.consistency }
        if !keys.contains("fsync") { merged.state.fsync = running.state.fsync }
        if !keys.contains("conditional") { merged.state.conditional = running.state.conditional }
        if !keys.contains("memory") { merged.state.memory = running.state.memory }
        if !keys.contains("sockets") { merged.sockets = running.sockets }
        if !keys.contains("listen") { merged.listen = running.listen }
        if !keys.contains("advertise") { merged.advertise = running.advertise }
        return merged
    }
}
