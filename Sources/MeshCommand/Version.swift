import ArgumentParser

enum MeshVersion {
    static let text = "0.1.0"
}

struct Version: Verb {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    @Flag(help: "Answer in JSON.") var json = false

    func answer() -> Answer {
        Answer(
            text: json
                ? "\(JSON.object(["version": .text(MeshVersion.text)]))\n" : "mesh \(MeshVersion.text)\n")
    }
}
