import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// Starts the process that runs scripts, which the sidecar may not do itself.
protocol ScriptStarter: AnyObject {
    /// In place of one that runs.
    ///
    /// - Parameter channel: the process's end of a stream socket; the caller closes it.
    func startScripts(channel: CInt) throws(SystemError)
    /// Ends it, whatever it is doing.
    func endScripts()
}

/// Asks the launcher, from the state's thread: a packet of a SEQPACKET socket is sent whole, or not at all.
final class LauncherScriptStarter: ScriptStarter {
    private let launcher: Int32

    init(launcher: Int32) { self.launcher = launcher }

    func startScripts(channel: CInt) throws(SystemError) {
        let message = SidecarMessage.startScripts.encoded()
        guard mesh_send(launcher, message, message.count, [channel, STDERR_FILENO], 2) == message.count else {
            throw SystemError("message to mesh-launch")
        }
    }

    func endScripts() {
        let message = SidecarMessage.endScripts.encoded()
        _ = mesh_send(launcher, message, message.count, nil, 0)
    }
}
