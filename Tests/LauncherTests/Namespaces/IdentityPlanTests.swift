import Testing

@testable import Launcher

@Suite("Identity plans")
struct IdentityPlanTests {
    typealias Extent = IdentityPlan.Extent

    @Test("keep maps the caller to root outside, and back inside")
    func keep() {
        let plan = IdentityPlan.keep(user: 1000, group: 100)
        #expect(IdentityPlan.text(plan.users) == "0 1000 1\n")
        #expect(IdentityPlan.text(plan.groups) == "0 100 1\n")
        #expect(IdentityPlan.text(plan.innerUsers) == "1000 0 1\n")
        #expect(IdentityPlan.text(plan.innerGroups) == "100 0 1\n")
        #expect(plan.writer == .itself && plan.isKept)
        #expect(plan.pingGroups == 0...0)
    }

    @Test("root's whole range is what its own namespace has, in both namespaces")
    func wholeRange() throws {
        let own = try #require(IdentityPlan.extents("         0       1000          1\n 1 100000 65536\n"))
        let plan = IdentityPlan.wholeRange(users: own, groups: [Extent(0, 0, 4_294_967_295)])
        #expect(IdentityPlan.text(plan.users) == "0 0 1\n1 1 65536\n")
        #expect(plan.innerUsers == plan.users)
        #expect(plan.writer == .launcher && !plan.isKept)
        // The sysctl knows no group above 2^31 - 1.
        #expect(plan.pingGroups == 0...2_147_483_647)
    }

    @Test("an ordinary user's root is itself, then its ranges")
    func subordinate() {
        let plan = IdentityPlan.subordinate(
            user: 1000, group: 1000,
            userRanges: [
                SubordinateRange(start: 100_000, count: 65_536), SubordinateRange(start: 300_000, count: 10),
            ],
            groupRanges: [SubordinateRange(start: 200_000, count: 65_536)])
        #expect(IdentityPlan.text(plan.users) == "0 1000 1\n1 100000 65536\n65537 300000 10\n")
        #expect(IdentityPlan.text(plan.innerUsers) == "0 0 1\n1 1 65536\n65537 65537 10\n")
        #expect(IdentityPlan.text(plan.innerGroups) == "0 0 1\n1 1 65536\n")
        #expect(plan.writer == .subordinate && !plan.isKept)
        #expect(plan.pingGroups == 0...0)
    }

    @Test("ranges past the last id are left out")
    func overflow() {
        let plan = IdentityPlan.subordinate(
            user: 0, group: 0,
            userRanges: [SubordinateRange(start: 1, count: .max), SubordinateRange(start: 1, count: 1)],
            groupRanges: [])
        #expect(plan.users == [Extent(0, 0, 1)])
    }

    @Test("subuid lines are found by name and by number, and garbage is skipped")
    func parse() {
        let text = """
            # comment
            eve:100000:65536
            1000:200000:10
            adam:300000:5
            adam:x:5
            adam:400000:0
            adam:500000
            adam:600000:7
            """
        #expect(
            SubordinateRange.parse(text, name: "adam", userID: 1000) == [
                SubordinateRange(start: 200_000, count: 10), SubordinateRange(start: 300_000, count: 5),
                SubordinateRange(start: 600_000, count: 7),
            ])
        #expect(SubordinateRange.parse("", name: "adam", userID: 1000).isEmpty)
    }

    @Test("four ranges are used, a fifth is not")
    func rangeLimit() {
        let text = (0..<5).map { "adam:\($0)00000:10\n" }.joined()
        #expect(SubordinateRange.parse(text, name: "adam", userID: 1).count == 4)
    }

    @Test(
        "a map file that holds something else isn't read",
        arguments: ["", "0 0", "a b c", "0 0 -1", "0 0 1 1"])
    func badMap(text: String) {
        #expect(IdentityPlan.extents(text) == nil)
    }
}
