import Testing
import Transport

@Suite("Prometheus text")
struct MetricsTextTests {
    @Test("a family has its help, its type and then its samples")
    func families() {
        var text = MetricsText()
        text.family("a_total", .counter, "Things.") { family in
            family.sample([("x", "1"), ("y", "2")], UInt64.max)
            family.sample([], 0)
        }
        text.single("b", .gauge, "One thing.", -3)
        #expect(
            text.text == """
                # HELP a_total Things.
                # TYPE a_total counter
                a_total{x="1",y="2"} 18446744073709551615
                a_total 0
                # HELP b One thing.
                # TYPE b gauge
                b -3

                """)
    }

    @Test("a family without samples is left out")
    func empty() {
        var text = MetricsText()
        text.family("a_total", .counter, "Things.") { _ in }
        #expect(text.text.isEmpty)
    }

    @Test("label values are escaped")
    func escaping() {
        var text = MetricsText()
        text.family("a", .gauge, "Things.") { $0.sample([("x", "a\"b\\c\nd")], 1) }
        #expect(text.text.hasSuffix(#"a{x="a\"b\\c\nd"} 1"# + "\n"))
    }
}
