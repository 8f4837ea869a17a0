// The Unix user on whose behalf the launcher runs.

import CLinuxShims
import Glibc

struct Account: Equatable, Sendable {
    var userID: uid_t
    var groupID: gid_t
    /// The password file's name, or the number where there is none.
    var name: String
    /// Nil where the password file gives none.
    var home: String?

    /// Asks the password file once, and not at all where the answer is known: that takes a millisecond.
    static func current() -> Account {
        var account = Account(userID: geteuid(), groupID: getegid(), name: "\(geteuid())", home: nil)
        if account.userID == 0, let home = Folders.environment("HOME") {
            (account.name, account.home) = ("root", home)
            return account
        }
        if let entry = getpwuid(account.userID) {
            account.name = String(cString: entry.pointee.pw_name)
            account.home = String(cString: entry.pointee.pw_dir)
        }
        return account
    }

    static func named(_ name: String) throws(LaunchFailure) -> Account {
        guard let entry = getpwnam(name) else {
            throw LaunchFailure(
                "user \(name) isn't known on this host", fix: "use a name that `getent passwd` lists")
        }
        return Account(
            userID: entry.pointee.pw_uid, groupID: entry.pointee.pw_gid, name: name,
            home: String(cString: entry.pointee.pw_dir))
    }

    /// Gives this process this account's ids and groups, for good, and the environment of its owner.
    func become() throws(LaunchFailure) {
        try checked(initgroups(name, groupID), "can't take the groups of \(name)")
        try checked(setgid(groupID), "can't become group \(groupID) of \(name)")
        try checked(setuid(userID), "can't become user \(name)") {
            $0 == EAGAIN ? "raise its limit of processes (ulimit -u)" : ""
        }
        // A change of ids makes the files of /proc/self root's, and the id maps are among them.
        mesh_set_dumpable(1)
        setenv("USER", name, 1)
        setenv("LOGNAME", name, 1)
        if let home { setenv("HOME", home, 1) }
        for variable in ["XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            unsetenv(variable)
        }
    }
}
