// What `user: root` needs of an ordinary user: a range of ids, and the programs that map it.

import Glibc

enum UserChecks {
    static func findings() -> [Finding] { [range()] }

    private static func range() -> Finding {
        let subject = "user: root"
        let userID = geteuid()
        guard userID != 0 else { return .ok(subject, "root maps every id itself") }
        let name = getpwuid(userID).map { String(cString: $0.pointee.pw_name) } ?? "\(userID)"
        let tools = ["newuidmap", "newgidmap"].filter { tool in
            !["/usr/bin", "/bin", "/usr/local/bin"].contains { access("\($0)/\(tool)", X_OK) == 0 }
        }
        guard tools.isEmpty else {
            return .note(
                subject, "\(tools.joined(separator: " and ")) can't be found, so only user: keep works",
                fix: "as root: apt-get install uidmap")
        }
        let files = ["/etc/subuid", "/etc/subgid"].filter { file in
            let bytes = (try? FileContent.read(file, atMost: 1 << 20)) ?? []
            return count(of: name, userID, in: String(decoding: bytes, as: UTF8.self)) < 65_536
        }
        guard files.isEmpty else {
            return .note(
                subject,
                "\(name) has no range of 65536 ids in \(files.joined(separator: " and ")), so only user: keep works",
                fix: "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(name)")
        }
        return .ok(subject, "newuidmap and a range of ids are there")
    }

    /// The length of the longest range that a file in the form of subuid(5) gives to a user.
    static func count(of name: String, _ userID: UInt32, in text: String) -> Int {
        text.split(separator: "\n").compactMap { line -> Int? in
            let parts = line.split(separator: ":")
            guard parts.count == 3, parts[0] == name || parts[0] == "\(userID)" else { return nil }
            return Int(parts[2])
        }.max() ?? 0
    }
}
