// What the sidecar keeps once it has its first message, and before it opens anything.

import CLinuxShims
import Transport

extension Confinement {
    /// Without exec: the launcher starts the userland stack.
    package static let sidecarCalls =
        SystemCalls.runtime + SystemCalls.eventLoop + SystemCalls.network + SystemCalls.files
        + SystemCalls.namespaces + SystemCalls.admin + SystemCalls.state

    /// To enter M and W, and to make sockets there; the threads that do give the first one up behind
    /// themselves, and the rest of the process has but the last.
    private static let sidecarCapabilities: UInt64 =
        1 << UInt64(MESH_CAN_ADMINISTER) | 1 << UInt64(MESH_CAN_OPEN_RAW_SOCKETS) | lowPorts

    private static let lowPorts: UInt64 = 1 << UInt64(MESH_CAN_BIND_LOW_PORTS)

    package static func enterAsSidecar() -> [SystemError] {
        enter(keeping: sidecarCapabilities, sidecarCalls)
    }

    /// On a thread that is in its namespace for good: it makes sockets, and the event loop binds them.
    static func stayInNamespace() {
        _ = mesh_keep_capabilities(1 << UInt64(MESH_CAN_OPEN_RAW_SOCKETS) | lowPorts)
    }

    /// On the event loop's thread, once those of the namespaces have been started: peers' ports below 1024
    /// have listeners in M.
    static func stayOnHost() { _ = mesh_keep_capabilities(lowPorts) }
}
