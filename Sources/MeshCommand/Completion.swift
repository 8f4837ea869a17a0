import ArgumentParser

struct Completion: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a shell's completion of this command.",
        discussion: """
            bash: mesh completion bash > ~/.local/share/bash-completion/completions/mesh
            zsh:  mesh completion zsh > a folder of $fpath, as _mesh
            fish: mesh completion fish > ~/.config/fish/completions/mesh.fish

            Exit codes: 0 printed; 64 no such shell.
            """)

    @Argument(help: "bash, zsh or fish.", completion: .list(["bash", "zsh", "fish"]))
    var shell: Shell

    @Flag(help: "Answer in JSON: the script as one text.") var json = false

    enum Shell: String, ExpressibleByArgument {
        case bash
        case zsh
        case fish

        var kind: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }

    func run() throws {
        let script = Mesh.completionScript(for: shell.kind)
        let text =
            json
            ? "\(JSON.object(["shell": .text(shell.rawValue), "script": .text(script)]))\n" : script + "\n"
        try StandardOutput.write(Array(text.utf8))
    }
}
