import Glibc
import Testing

@testable import MeshCommand

@Suite struct CheckTests {
    @Test("check says a line a finding, each bad one with its fix, and ends with 1 where one is bad")
    func answers() throws {
        let mesh = FakeMesh()
        mesh.start("default/web")
        mesh.start("default/old", instance: "aaaaaaaaaaaaaaaa", notAfter: "2001-01-01T00:00:00Z")
        let answer = try mesh.answer("check")
        #expect(answer.exitCode == 1)
        let lines = answer.text.split(separator: "\n")
        for line in lines {
            #expect(["ok", "note", "bad"].contains(String(line.prefix { $0 != " " })), "\(line)")
            #expect(line.hasPrefix("ok") || line.contains("; "), "\(line)")
        }
        #expect(lines.contains { $0.hasPrefix("ok") && $0.contains("default/web (3f9a01c2)  ") })
        #expect(lines.contains { $0.hasPrefix("bad") && $0.contains("its certificate ended at 2001-01-01") })
        #expect(lines.contains { $0.contains("default/web (3f9a01c2) peers") && $0.contains("1 connected") })
        let json = try #require(JSON(parsing: Array(try mesh.answer("check", "--json").text.utf8)))
        #expect(json["findings"].list.count == lines.count)
    }

    @Test("the kernel's answer to each step becomes a finding")
    func probe() {
        let good = NamespaceProbe(namespaces: 0, veth: 0, tap: 0, proc: 0)
        #expect(NamespaceChecks.findings(good).prefix(3).map(\.state) == [.ok, .ok, .ok])
        let none = NamespaceProbe(namespaces: EPERM)
        #expect(NamespaceChecks.namespaces(none).state == .bad)
        #expect(NamespaceChecks.proc(none).state == .note)
        #expect(
            NamespaceChecks.veth(NamespaceProbe(namespaces: 0, veth: EOPNOTSUPP)).fix
                == "as root: modprobe veth")
        #expect(NamespaceChecks.proc(NamespaceProbe(namespaces: 0, proc: EPERM)).state == .bad)
        #expect(NamespaceChecks.tap(NamespaceProbe(namespaces: 0, tap: EPERM)).state == .note)
    }

    @Test("the probe leaves nothing behind, and tells the same twice")
    func probes() {
        let before = entries(of: "/sys/class/net")
        #expect(NamespaceProbe.run() == NamespaceProbe.run())
        #expect(entries(of: "/sys/class/net") == before)
    }

    @Test("a clock that can't be right is bad")
    func clock() {
        #expect(HostChecks.clock(0).state == .bad)
        #expect(HostChecks.clock(4_102_444_800).state == .bad)
        #expect(HostChecks.clock(1_800_000_000).state != .bad)
    }

    @Test("a user's range of ids is found by name or by number")
    func subordinateIDs() {
        let text = "other:100000:65536\nme:200000:1000\n1000:300000:65536\nbad line\nme:1:x\n"
        #expect(UserChecks.count(of: "me", 1000, in: text) == 65_536)
        #expect(UserChecks.count(of: "me", 7, in: text) == 1_000)
        #expect(UserChecks.count(of: "nobody", 7, in: text) == 0)
    }

    @Test("a folder that others may write to is bad, a missing one isn't")
    func folders() throws {
        let mesh = FakeMesh()
        #expect(PlaceChecks.folder("runtime folder", mesh.folder).state == .ok)
        #expect(PlaceChecks.folder("runtime folder", mesh.folder + "/new/one").state == .ok)
        chmod(mesh.folder, 0o777)
        #expect(PlaceChecks.folder("runtime folder", mesh.folder).fix == "chmod 0700 \(mesh.folder)")
        let file = try mesh.write("", to: "file")
        #expect(PlaceChecks.folder("runtime folder", file).text == "\(file) is no folder")
    }
}
