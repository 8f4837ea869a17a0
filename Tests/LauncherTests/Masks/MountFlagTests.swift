import Testing

@testable import Launcher

@Suite("Mount flags")
struct MountFlagTests {
    @Test("a remount keeps what the mount forbids")
    func kept() {
        // ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC, ST_NOATIME, ST_NODIRATIME; then ST_RELATIME.
        #expect(MountFlag.kept(of: 1 | 2 | 4 | 8 | 1024 | 2048) == 1 | 2 | 4 | 8 | 1024 | 2048)
        #expect(MountFlag.kept(of: 4096) == 1 << 21)
        #expect(MountFlag.kept(of: 16) == 0, "ST_SYNCHRONOUS isn't a mount's own")
    }
}
