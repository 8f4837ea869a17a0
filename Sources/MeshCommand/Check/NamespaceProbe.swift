import CLinuxShims
import Glibc

/// What the kernel said to each thing that the launcher will do: 0, an errno, or nil where an earlier
/// failure left it untried.
struct NamespaceProbe: Equatable {
    /// User, mount, network and process-id namespaces, made together.
    var namespaces: Int32?
    /// A veth pair in the new network namespace.
    var veth: Int32?
    /// A TAP device there.
    var tap: Int32?
    /// /proc of the new process-id namespace.
    var proc: Int32?

    /// Tries it all in a child process, whose end takes it away again.
    static func run() -> NamespaceProbe {
        var found = mesh_namespace_probe()
        guard mesh_probe_namespaces(&found) == 0 else { return NamespaceProbe(namespaces: errno) }
        func result(_ code: Int32) -> Int32? { code < 0 ? nil : code }
        return NamespaceProbe(
            namespaces: result(found.namespaces), veth: result(found.veth), tap: result(found.tap),
            proc: result(found.proc))
    }
}
