import Testing

/// The reader of Swift source that the other tests stand on.
@Suite("Reading Swift source")
struct SwiftCodeTests {
    @Test("comments and literals are blanked, interpolations too")
    func literalsAreBlanked() {
        let code = SwiftCode(
            #"""
            let a = "import { \(b ? "Task" : "}") {" // Task {
            /* Task /* { */ } */ let c = """
                Task { " \(d)
                """
            let e = ##"Task "# {"## + "\"{"
            Task.detached {}
            """#)
        #expect(code.lines(holding: "Task") == [6])
        #expect(code.lines.joined().filter { $0 == "{" }.count == 1)
        #expect(code.lines.count == 6)
    }

    @Test("an import is found behind attributes, access and kinds")
    func importsAreFound() {
        let code = SwiftCode(
            """
            @preconcurrency import NIOCore
            package import struct Foundation.Date
            let text = "import Glibc"
            import Testing
            """)
        #expect(code.imports.map(\.module) == ["NIOCore", "Foundation", "Testing"])
        #expect(code.imports.map(\.line) == [1, 2, 4])
    }

    @Test("a word counts only whole")
    func wordsAreWhole() {
        #expect(SwiftCode("let randomBytes = random + aTask").lines(holding: "random") == [1])
        #expect(SwiftCode("let randomBytes = aTask").lines(holding: "random") == [])
    }

    @Test("a function's length runs from its name to its closing brace")
    func functionsAreMeasured() {
        let code = SwiftCode(
            """
            protocol P {
                func requirement()
            }
            struct S {
                package init(
                    a: () -> Void = { }
                ) {
                    if true { a() }
                }
                var v: Int { 1 }
                static func f<T>(_ t: T) where T: P {
                    func inner() { }
                }
            }
            """)
        #expect(code.functions.map(\.line).sorted() == [5, 11, 12])
        #expect(code.functions.first { $0.line == 5 }?.length == 5)
        #expect(code.functions.first { $0.line == 11 }?.length == 3)
    }
}
