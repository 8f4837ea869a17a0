import SidecarProtocol
import Testing

@testable import Launcher

@Suite("Mask plans")
struct MaskPlanTests {
    /// A file tree: real paths with their kinds, and links.
    private static let tree: [String: MaskPlan.Kind] = [
        "/run/mesh": .folder, "/run/dbus": .folder, "/run/user/1000": .folder, "/run/user/1000/mesh": .folder,
        "/run/docker.sock": .file, "/run/user/1000/podman.sock": .file, "/srv/adam/.config/mesh": .folder,
        "/srv/adam/web.yaml": .file, "/run/dbus/system_bus_socket": .file, "/srv/app.sock": .file,
        "/srv/adam/.config/mesh/web.yaml": .file,
    ]

    private static func look(_ path: String) -> (path: String, kind: MaskPlan.Kind)? {
        let real = path.hasPrefix("/var/run/") ? String(path.dropFirst(4)) : path
        return tree[real].map { (real, $0) }
    }

    private func plan(
        _ candidates: [String], file: String? = nil, sockets: [String] = []
    ) throws -> MaskPlan {
        try MaskPlan(
            candidates: candidates, configurationFile: file, sockets: sockets, look: MaskPlanTests.look)
    }

    @Test("what exists is masked once, by its real path, and nothing inside another mask")
    func folders() throws {
        let plan = try plan([
            "/run/user/1000/mesh", "/run/user/1000", "/run/dbus", "/var/run/dbus", "/run/nscd",
            "/run/docker.sock",
            "/var/run/docker.sock", "/run/user/1000/podman.sock",
        ])
        #expect(plan.folders == ["/run/dbus", "/run/user/1000"])
        #expect(plan.files == ["/run/docker.sock"])
        #expect(plan.binds.isEmpty)
    }

    @Test("the root folder is never masked")
    func rootFolder() throws {
        let plan = try MaskPlan(candidates: ["/x"], configurationFile: nil, sockets: []) { _ in ("/", .folder)
        }
        #expect(plan.folders.isEmpty)
    }

    @Test("a mask hides what is below it, and no neighbour of a similar name")
    func hides() throws {
        let plan = try plan(["/run/mesh", "/run/docker.sock"])
        #expect(plan.hides("/run/mesh") && plan.hides("/run/mesh/a/b") && plan.hides("/run/docker.sock"))
        #expect(!plan.hides("/run/mesh2") && !plan.hides("/run") && !plan.hides("/run/docker.sock.old"))
    }

    @Test("a config file is read-only where it can be seen, and stays hidden under a mask")
    func configurationFile() throws {
        let seen = try plan(["/srv/adam/.config/mesh"], file: "/srv/adam/web.yaml")
        #expect(
            seen.binds == [MaskPlan.Bind("/srv/adam/web.yaml", at: "/srv/adam/web.yaml", isReadOnly: true)])
        #expect(try plan(["/srv/adam/.config/mesh"], file: "/srv/adam/.config/mesh/web.yaml").binds.isEmpty)
    }

    @Test("a socket is admitted through the mask that hides it")
    func sockets() throws {
        let bus = "/run/dbus/system_bus_socket"
        let admitted = try plan(["/run/dbus"], sockets: ["/var" + bus, "/srv/app.sock"])
        #expect(admitted.binds == [MaskPlan.Bind(bus, at: bus, isReadOnly: false)])
        let failure = #expect(throws: LaunchFailure.self) { try plan([], sockets: ["/run/absent"]) }
        #expect(failure?.description.contains("/run/absent isn't there") == true)
    }

    @Test("the candidates are the design's list")
    func candidates() {
        let user = MaskPlan.candidates(
            own: ["/a", "/b"], sessionFolder: "/run/session", userID: 1000, multiplexers: ["/tmp/tmux-0"])
        for place in [
            "/a", "/b", "/run/session", "/run/user/1000", "/tmp/tmux-0", "/run/mesh", "/run/dbus",
            "/run/nscd",
            "/run/systemd", "/run/screen", "/run/docker.sock", "/run/containerd", "/run/podman", "/run/crio",
            "/var/run/dbus", "/var/lib/mesh", "/etc/mesh", "/var/cache/mesh",
        ] { #expect(user.contains(place), "\(place)") }
        #expect(!user.contains("/run/user"))
        let root = MaskPlan.candidates(own: [], sessionFolder: nil, userID: 0, multiplexers: [])
        #expect(root.contains("/run/user"), "root could reach every user's session")
    }

    @Test("hosts names the workload, its host and the loopback")
    func hosts() throws {
        let workload = try WorkloadName(namespace: "shop", name: "web")
        #expect(
            NameFiles.hosts(workload, own: 0xC612_2A07, host: "box") == """
                127.0.0.1 localhost
                ::1 localhost ip6-localhost ip6-loopback
                198.18.42.7 web.mesh web.shop.mesh
                127.0.1.1 box

                """)
        #expect(!NameFiles.hosts(workload, own: 1, host: "localhost").contains("127.0.1.1"))
        #expect(!NameFiles.hosts(workload, own: 1, host: "").contains("127.0.1.1"))
    }
}
