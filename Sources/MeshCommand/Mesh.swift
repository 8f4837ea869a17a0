// The operator's command: one verb a file, in a folder a noun.

import ArgumentParser
import Glibc

/// The process of the `mesh` command.
package enum MeshProcess {
    /// Runs the verb that the arguments name, and ends the process.
    package static func run() -> Never {
        do {
            var command = try Mesh.parseAsRoot()
            try command.run()
            exit(0)
        } catch let complaint as Complaint {
            StandardError.write("mesh: \(complaint)\n")
            exit(complaint.exitCode)
        } catch let failure as ConfigurationFailure {
            StandardError.write("\(failure)\n")
            exit(2)
        } catch {
            guard Mesh.exitCode(for: error) == .validationFailure else { Mesh.exit(withError: error) }
            let message = Mesh.fullMessage(for: error)
            let text = message.hasPrefix("Error: ") ? String(message.dropFirst("Error: ".count)) : message
            StandardError.write("mesh: \(text)\n")
            exit(64)
        }
    }
}

struct Mesh: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "See and steer the mesh of this host.",
        discussion: """
            Exit codes: 0 done; 1 not so, or failed; 2 a config file is wrong; 64 wrong use of this command.
            """,
        version: MeshVersion.text,
        subcommands: [
            Status.self, Flows.self, Tap.self, Trace.self, Edges.self, RecordsNoun.self, Whois.self,
            Explain.self, Ping.self, Top.self, DrillNoun.self, BundleVerb.self, Metrics.self, Check.self,
            Reload.self, Shutdown.self, PolicyNoun.self, Lock.self, Unlock.self, IdentityNoun.self,
            StateNoun.self, NodeNoun.self, Trust.self, Config.self, Completion.self, Version.self,
        ])
}
