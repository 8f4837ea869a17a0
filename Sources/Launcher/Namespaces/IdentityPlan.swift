// Which ids the user namespaces map.
//
//   caller's namespace ── A: owns the networks; launcher's helpers and the sidecar are its root
//                         └─ B: the workload's own; its ids are what the program sees
//
//   keep                 A: 0 ← caller              B: caller ← 0
//   root, by a user      A: 0 ← caller, 1… ← /etc/subuid's ranges     B: as A
//   root, by root        A: every id that the launcher's namespace has, as it is     B: as A

package struct IdentityPlan: Equatable, Sendable {
    /// `count` ids from `inside` on stand for those from `outside` on.
    package struct Extent: Equatable, Sendable {
        package var inside: UInt32
        package var outside: UInt32
        package var count: UInt32

        package init(_ inside: UInt32, _ outside: UInt32, _ count: UInt32) {
            self.inside = inside
            self.outside = outside
            self.count = count
        }
    }

    /// Who may write A's maps.
    package enum Writer: Equatable, Sendable {
        /// The first process in A: for its own id alone.
        case itself
        /// The launcher, as root.
        case launcher
        /// newuidmap and newgidmap, for ranges that root has set aside.
        case subordinate
    }

    package var users: [Extent]
    package var groups: [Extent]
    package var writer: Writer
    /// Of B; `outside` counts in A.
    package var innerUsers: [Extent]
    package var innerGroups: [Extent]
    /// The workload keeps its caller's ids, and so gets no capability and no new privileges.
    package var isKept: Bool

    package static func keep(user: UInt32, group: UInt32) -> IdentityPlan {
        IdentityPlan(
            users: [Extent(0, user, 1)], groups: [Extent(0, group, 1)], writer: .itself,
            innerUsers: [Extent(user, 0, 1)], innerGroups: [Extent(group, 0, 1)], isKept: true)
    }

    /// - Parameters:
    ///   - users: the launcher's own /proc/self/uid_map.
    ///   - groups: its gid_map.
    package static func wholeRange(users: [Extent], groups: [Extent]) -> IdentityPlan {
        func same(_ extents: [Extent]) -> [Extent] {
            extents.map { Extent($0.inside, $0.inside, $0.count) }
        }
        return IdentityPlan(
            users: same(users), groups: same(groups), writer: .launcher, innerUsers: same(users),
            innerGroups: same(groups), isKept: false)
    }

    package static func subordinate(
        user: UInt32, group: UInt32, userRanges: [SubordinateRange], groupRanges: [SubordinateRange]
    ) -> IdentityPlan {
        let users = extents(own: user, userRanges)
        let groups = extents(own: group, groupRanges)
        return IdentityPlan(
            users: users, groups: groups, writer: .subordinate,
            innerUsers: users.map { Extent($0.inside, $0.inside, $0.count) },
            innerGroups: groups.map { Extent($0.inside, $0.inside, $0.count) }, isKept: false)
    }

    private static func extents(own: UInt32, _ ranges: [SubordinateRange]) -> [Extent] {
        var extents = [Extent(0, own, 1)]
        var next: UInt32 = 1
        for range in ranges {
            let (end, overflows) = next.addingReportingOverflow(range.count)
            guard !overflows else { break }
            extents.append(Extent(next, range.start, range.count))
            next = end
        }
        return extents
    }

    /// The groups that may open ping sockets, as W's sysctl wants them: mapped ids only, within its limit.
    package var pingGroups: ClosedRange<UInt32> {
        guard let first = groups.first(where: { $0.inside == 0 }), first.count > 0 else { return 0...0 }
        return 0...min(first.count - 1, UInt32(Int32.max))
    }

    /// The text of a map file.
    package static func text(_ extents: [Extent]) -> String {
        extents.map { "\($0.inside) \($0.outside) \($0.count)\n" }.joined()
    }

    /// Reads a map file of /proc; nil where it holds something else.
    package static func extents(_ text: String) -> [Extent]? {
        var extents: [Extent] = []
        for line in text.split(separator: "\n") {
            let numbers = line.split(separator: " ").map { UInt32($0) }
            guard numbers.count == 3, let inside = numbers[0], let outside = numbers[1],
                let count = numbers[2]
            else { return nil }
            extents.append(Extent(inside, outside, count))
        }
        return extents.isEmpty ? nil : extents
    }
}

/// A line of /etc/subuid or /etc/subgid: `name:start:count`.
package struct SubordinateRange: Equatable, Sendable {
    package var start: UInt32
    package var count: UInt32

    package init(start: UInt32, count: UInt32) {
        self.start = start
        self.count = count
    }

    /// The ranges of one user, named or by number, at most as many as a map may hold beside its own id.
    package static func parse(_ text: String, name: String, userID: UInt32) -> [SubordinateRange] {
        let owners = [name, String(userID)]
        let lines = text.split(separator: "\n").compactMap { line -> SubordinateRange? in
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, owners.contains(String(parts[0])), let start = UInt32(parts[1]),
                let count = UInt32(parts[2]), count > 0
            else { return nil }
            return SubordinateRange(start: start, count: count)
        }
        return Array(lines.prefix(4))
    }
}
