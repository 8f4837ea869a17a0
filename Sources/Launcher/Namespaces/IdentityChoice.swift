// From `user:` to the ids of a launch.

import Glibc
import SidecarProtocol

extension IdentityPlan {
    /// What the configuration asks for, on this host, for the account that the launcher runs as.
    static func choose(
        _ user: WorkloadConfiguration.User, account: Account
    ) throws(LaunchFailure) -> IdentityPlan {
        let isRoot = account.userID == 0
        switch user {
        case .automatic: return isRoot ? try wholeRange() : keep(account)
        case .keep: return keep(account)
        case .root: return isRoot ? try wholeRange() : try subordinate(account)
        case .named(let name):
            // Root has become the named user by now.
            guard name == account.name else {
                throw LaunchFailure(
                    "user: \(name) can't be had by \(account.name)",
                    fix: "start mesh-launch as root, or as \(name)")
            }
            return keep(account)
        }
    }

    private static func keep(_ account: Account) -> IdentityPlan {
        keep(user: account.userID, group: account.groupID)
    }

    private static func wholeRange() throws(LaunchFailure) -> IdentityPlan {
        guard let users = SmallFile.text("/proc/self/uid_map").flatMap({ extents($0) }),
            let groups = SmallFile.text("/proc/self/gid_map").flatMap({ extents($0) })
        else { throw LaunchFailure("can't read /proc/self/uid_map", fix: "mount /proc") }
        return wholeRange(users: users, groups: groups)
    }

    private static func subordinate(_ account: Account) throws(LaunchFailure) -> IdentityPlan {
        func ranges(_ path: String) throws(LaunchFailure) -> [SubordinateRange] {
            let ranges = SubordinateRange.parse(
                SmallFile.text(path) ?? "", name: account.name, userID: account.userID)
            guard !ranges.isEmpty else {
                throw LaunchFailure(
                    "user: root needs ids set aside for \(account.name), and \(path) has none",
                    fix: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(account.name)")
            }
            return ranges
        }
        return subordinate(
            user: account.userID, group: account.groupID, userRanges: try ranges("/etc/subuid"),
            groupRanges: try ranges("/etc/subgid"))
    }
}
