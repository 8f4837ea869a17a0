// Stopping with the workload, and giving the terminal back.

import CLinuxShims
import Glibc

enum JobControl {
    /// Stops the launcher, so that the shell sees its job stop, until somebody continues it.
    ///
    /// `fg` continues the whole group. But the program may also be continued alone, or end, and a stopped
    /// launcher would never know: so a child watches init's socket meanwhile.
    ///
    /// - Parameter channel: becomes readable when the program goes on, or ends.
    static func stop(with signal: Int32, until channel: Int32) {
        let launcher = getpid()
        let watcher = mesh_fork()
        if watcher == 0 {
            mesh_set_parent_death_signal(SIGKILL)
            // Out of the group: what continues or kills the group isn't for the watcher.
            setpgid(0, 0)
            var polled = pollfd(fd: channel, events: Int16(POLLIN), revents: 0)
            while poll(&polled, 1, -1) < 0 {}
            kill(launcher, SIGCONT)
            _exit(0)
        }
        suspend(with: signal)
        guard watcher > 0 else { return }
        kill(watcher, SIGKILL)
        _ = WaitStatus.wait(for: watcher)
    }

    private static func suspend(with signal: Int32) {
        var former = sigaction()
        sigaction(signal, nil, &former)
        // An ignored signal wouldn't stop anything.
        let isIgnored = unsafeBitCast(former.__sigaction_handler.sa_handler, to: Int.self) == 1
        let stop = isIgnored ? SIGSTOP : signal
        var set = InheritedSignals.set(of: stop)
        kill(getpid(), stop)
        sigprocmask(SIG_UNBLOCK, &set, nil)
        // Stopped here.
        sigprocmask(SIG_BLOCK, &set, nil)
    }

    /// Makes the launcher's group the terminal's foreground again, where a shell inside had made its own so
    /// and is gone: a group inside a pid namespace can't be named from within, so it couldn't do that.
    static func takeTerminalBack() {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return }
        defer { close(terminal) }
        let foreground = tcgetpgrp(terminal)
        guard foreground > 0, foreground != getpgrp(), kill(-foreground, 0) < 0, errno == ESRCH else {
            return
        }
        // SIGTTOU is blocked, as every signal is, so a background group may do this.
        tcsetpgrp(terminal, getpgrp())
    }
}
