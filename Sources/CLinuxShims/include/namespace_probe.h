// Trying what the launcher will do. In C, since the child of a process with several threads may call only
// what is async-signal-safe, and Swift's runtime isn't.
#pragma once

/// What the kernel said to each step: 0, an errno, or -1 where an earlier failure left it untried.
struct mesh_namespace_probe {
    /// User, mount, network and process-id namespaces, made together.
    int namespaces;
    /// A veth pair in the new network namespace.
    int veth;
    /// A TAP device there.
    int tap;
    /// /proc of the new process-id namespace.
    int proc;
};

/// Tries in a child, whose end takes everything away again. 0, or -1 with errno where there is no child.
int mesh_probe_namespaces(struct mesh_namespace_probe *probe);
