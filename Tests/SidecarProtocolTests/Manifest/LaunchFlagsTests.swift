import SidecarProtocol
import Testing

@Suite("Flags that a reload puts over the file")
struct LaunchFlagsTests {
    private let workload: WorkloadName
    private let from = IdentityPattern(namespace: .exactly("default"), name: .exactly("client"))

    init() throws { workload = try WorkloadName(namespace: "default", name: "web") }

    private var flags: LaunchFlags {
        var flags = LaunchFlags()
        flags.version = "2"
        flags.user = .named("www-data")
        flags.datapath = .slirp
        flags.consistency = .eventual
        flags.records = .required
        flags.telemetry = .some(nil)
        flags.givesCommand = true
        flags.serves = [ServicePort(80, .tcp)]
        flags.accepts = [.init(from: from, ports: [80])]
        flags.calls = [.init(target: workload, port: 81)]
        flags.egress = [.init(host: "example.com", port: 443)]
        flags.sockets = ["/run/a"]
        flags.listen = ["127.0.0.1:7000"]
        flags.advertise = ["127.0.0.1:7001"]
        return flags
    }

    @Test("what is written is read back, whether all is given or nothing")
    func roundTrip() throws {
        for flags in [flags, LaunchFlags()] {
            #expect(try LaunchFlags(canonical: flags.encoded(of: workload)) == flags)
        }
    }

    @Test("bytes of another form are refused, wherever they are cut")
    func malformed() throws {
        let bytes = flags.encoded(of: workload)
        for count in 0..<bytes.count {
            #expect(throws: CBORError.self) { try LaunchFlags(canonical: Array(bytes[..<count])) }
        }
        for item in [CBOR.null, .array([]), .array([.bytes([]), .array([])]), .array([.text(""), .null])] {
            #expect(throws: CBORError.self) { try LaunchFlags(canonical: item.encoded()) }
        }
    }

    @Test("a single value stands before the file's, a list extends it, and nothing given changes nothing")
    func extends() throws {
        var file = WorkloadConfiguration(workload: workload)
        file.version = "1"
        file.serves = [ServicePort(80, .tcp), ServicePort(90, .tcp)]
        file.accepts = [.init(from: from, ports: [90])]
        var merged = file
        LaunchFlags().extend(&merged)
        #expect(merged == file)
        flags.extend(&merged)
        #expect(merged.version == "2" && merged.datapath == .slirp && merged.user == .named("www-data"))
        #expect(merged.serves == file.serves)
        #expect(merged.accepts == flags.accepts)
        #expect(merged.egress == flags.egress)
        let once = merged
        flags.extend(&merged)
        #expect(merged == once)
    }
}
