import Testing

@testable import Launcher

@Suite("The kernel's release")
struct KernelReleaseTests {
    @Test(
        "is compared by its first two numbers",
        arguments: [
            ("6.14.0", true), ("6.13.9-1", false), ("6.9", false), ("7.0-rc1", true), ("5.20.1", false),
            ("6.18.44-fc-v657", true), ("6", false), ("", false), ("x.y", false),
        ])
    func compares(release: String, isAtLeast: Bool) {
        #expect(KernelRelease.isAtLeast(release, major: 6, minor: 14) == isAtLeast)
    }
}
