import ArgumentParser

enum MeshVersion {
    static let text = "0.1.0"
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    func run() { print("mesh \(MeshVersion.text)") }
}
