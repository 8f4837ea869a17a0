import Glibc
import SidecarProtocol
import Testing

/// The process on a real TAP, in a host of its own, and a sidecar that the test plays.
@Suite("The userland stack's process", .serialized, .enabled(if: World.isPermitted, "needs user namespaces"))
struct UserlandStackTests {
    static let own = IPv4Address(World.own)!
    static let peer = IPv4Endpoint(IPv4Address(198, 18, 7, 8), 80)
    static let host = IPv4Endpoint(IPv4Address(203, 0, 113, 5), 7000)
    static let inward = IPv4Endpoint(IPv4Address(10, 99, 0, 1), 7000)

    private func begin(_ datapath: String = "slirp") throws -> (World, SidecarEnd) {
        let world = try World(datapath: datapath)
        let sidecar = SidecarEnd(world.descriptor)
        #expect(sidecar.receive(within: 10_000) == .ready)
        return (world, sidecar)
    }

    /// Connects the workload to `endpoint` under `label`; returns the descriptor that the sidecar gets.
    private func open(
        _ world: World, _ sidecar: SidecarEnd, _ label: String, to endpoint: IPv4Endpoint = peer
    ) throws -> Int32 {
        world.start("connect \(endpoint.address) \(endpoint.port) \(label)")
        let asked = try #require(sidecar.question(.open))
        let flow = try #require(sidecar.flow())
        let port = try #require(world.answer().split(separator: " ").first.flatMap { UInt16($0) })
        #expect(asked == FourTuple(source: IPv4Endpoint(Self.own, port), destination: endpoint))
        #expect(flow.tuple == asked)
        return flow.descriptor
    }

    // MARK: Virtual addresses

    @Test("a connection to a peer reaches a descriptor, with the addresses of both ends")
    func connection() throws {
        let (world, sidecar) = try begin()
        let flow = try open(world, sidecar, "a")
        defer { close(flow) }
        #expect(world.run("say a hello") == "said")
        #expect(flow.text() == "hello")
        flow.write("and back")
        #expect(world.run("hear a") == "and back")
    }

    @Test("each of many connections gets its own descriptor")
    func manyConnections() throws {
        let (world, sidecar) = try begin()
        var flows: [(label: String, descriptor: Int32)] = []
        for index in 0..<40 {
            let endpoint = IPv4Endpoint(IPv4Address(198, 18, 7, UInt8(index % 7 + 1)), UInt16(80 + index % 3))
            flows.append(("c\(index)", try open(world, sidecar, "c\(index)", to: endpoint)))
        }
        for (label, _) in flows { #expect(world.run("say \(label) \(label)") == "said") }
        for (label, descriptor) in flows {
            #expect(descriptor.text() == label)
            close(descriptor)
        }
    }

    @Test("half-close passes both ways, and a reset too")
    func ends() throws {
        let (world, sidecar) = try begin()
        let flow = try open(world, sidecar, "a")
        #expect(world.run("shut a") == "shut")
        #expect(flow.text().isEmpty)
        flow.write("still")
        #expect(world.run("hear a") == "still")
        shutdown(flow, Int32(SHUT_WR))
        #expect(world.run("hear a") == "end")
        close(flow)

        let cut = try open(world, sidecar, "b")
        #expect(world.run("say b unread") == "said")
        // Closed with data unread: a reset.
        #expect(cut.waitForData())
        close(cut)
        #expect(world.run("hear b") == "ECONNRESET")
    }

    @Test("a connection that the sidecar cuts is reset, also while bytes wait for the workload")
    func resets() throws {
        let (world, sidecar) = try begin()
        for (label, fill) in [("a", 0), ("b", 400_000)] {
            world.start("connect 198.18.7.8 80 \(label)")
            let tuple = try #require(sidecar.question(.open))
            let flow = try #require(sidecar.flow()).descriptor
            #expect(world.answer().split(separator: " ").count == 2)
            flow.write("read")
            #expect(world.run("hear \(label)") == "read")
            flow.writeZeros(fill)
            sidecar.send(.reset(tuple.reversed))
            close(flow)
            #expect(world.isEventually("poll_reset \(label)", "reset"))
        }
    }

    @Test("thousands of connections that the peer ends come one after the other, and leave no socket")
    func finished() throws {
        let (world, sidecar) = try begin()
        let count = Limits.stackFlowsMaximum + 2000
        let before = world.run("stack_descriptors")
        world.start("sequence 198.18.7.8 80 \(count)")
        for _ in 0..<count {
            _ = try #require(sidecar.question(.open))
            let flow = try #require(sidecar.flow()).descriptor
            flow.write("bye")
            close(flow)
        }
        #expect(world.answer() == "\(count)")
        #expect(world.isEventually("stack_descriptors", before))
    }

    @Test("connections out of the mesh that the server ends leave no socket either")
    func finishedEgress() throws {
        let (world, sidecar) = try begin("limited")
        let server = IPv4Endpoint(Self.host.address, 7001)
        sidecar.send(.allow(server, .tcp, until: nil))
        let before = world.run("stack_descriptors")
        // Only a few may be there at once.
        #expect(world.run("sequence \(server.address) \(server.port) 50") == "50")
        #expect(world.isEventually("stack_descriptors", before))
    }

    @Test("what the workload sent last is kept for a slow peer that has ended its own direction")
    func finishedSlowly() throws {
        let (world, sidecar) = try begin()
        let flow = try open(world, sidecar, "a")
        defer { close(flow) }
        shutdown(flow, Int32(SHUT_WR))
        #expect(world.run("hear a") == "end")
        // More than the socket takes, and no more than libslirp holds besides.
        let count = Self.socketCapacity + 60_000
        #expect(world.run("send_zeros a \(count)") == "sent")
        #expect(world.run("close a") == "closed")
        #expect(world.isEventually("unacknowledged", "0"))
        #expect(world.run("ping 198.18.0.1") == "pong")
        #expect(flow.count(to: .max) == count)
    }

    /// How much a socket like libslirp's takes that nobody reads.
    private static var socketCapacity: Int {
        var ends: [Int32] = [-1, -1]
        socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends)
        defer { for end in ends { close(end) } }
        var size: Int32 = 1 << 20
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        let segment = [UInt8](repeating: 0, count: 16_384)
        var total = 0
        while case let count = write(ends[0], segment, segment.count), count > 0 { total += count }
        return total
    }

    @Test("a reset by the workload ends the descriptor in both directions")
    func workloadResets() throws {
        let (world, sidecar) = try begin()
        let flow = try open(world, sidecar, "b")
        defer { close(flow) }
        #expect(world.run("reset b") == "reset")
        var wait = pollfd(fd: flow, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 10_000) == 1 && wait.revents & Int16(POLLHUP) != 0)
    }

    @Test("a refused connection is the kernel's own connection refused, and a held one waits")
    func refusal() throws {
        let (world, sidecar) = try begin()
        world.start("connect 198.18.7.8 80")
        #expect(sidecar.question(.refuse) != nil)
        #expect(world.answer() == "ECONNREFUSED")

        world.start("connect 198.18.7.8 80 w")
        let id = try #require(sidecar.next { if case .question(let id, _) = $0 { id } else { nil } })
        sidecar.send(.answer(id, .wait))
        // While one waits, others are served.
        #expect(sidecar.receive(within: 300) == nil)
        sidecar.send(.answer(id, .open))
        let flow = try #require(sidecar.flow())
        #expect(world.answer().split(separator: " ").count == 2)
        close(flow.descriptor)
    }

    @Test("gateway, foreign halves and unused addresses refuse at once")
    func nobody() throws {
        let (world, _) = try begin()
        for address in ["198.18.0.1", "198.18.0.2", "198.19.7.8"] {
            #expect(world.run("connect \(address) 80") == "ECONNREFUSED", "\(address)")
            #expect(world.run("udp \(address) 67 x") == "ECONNREFUSED", "\(address)")
        }
    }

    @Test("datagrams go out and come back, small and large, and an unreachable port is said")
    func datagrams() throws {
        let (world, sidecar) = try begin()
        for count in [1, 4000] {
            world.start("udp 198.18.7.8 9000 abcd \(count)")
            let (tuple, data) = try #require(sidecar.datagram())
            #expect(tuple.destination == IPv4Endpoint(Self.peer.address, 9000))
            #expect(tuple.source.address == Self.own && data.count == 4 * count)
            // An answer of more than the TAP's transmission unit comes in fragments.
            sidecar.send(
                .datagram(
                    tuple.reversed, Array(repeating: UInt8(ascii: "z"), count: 15_000 * count / 1000 + 2)))
            #expect(world.answer().hasPrefix("\(15_000 * count / 1000 + 2) zz"))
        }
        world.start("udp 198.18.7.8 9001 x")
        let (tuple, _) = try #require(sidecar.datagram())
        sidecar.send(.unreachable(tuple))
        #expect(world.answer() == "ECONNREFUSED")
    }

    @Test("the name service is reached by datagrams and by connections")
    func names() throws {
        let (world, sidecar) = try begin()
        world.start("udp 198.18.0.53 53 query")
        let (tuple, data) = try #require(sidecar.datagram())
        #expect(tuple.destination == IPv4Endpoint(StackNetwork.nameService, 53))
        #expect(data == Array("query".utf8))
        sidecar.send(.datagram(tuple.reversed, Array("answer".utf8)))
        #expect(world.answer() == "6 answer")
        close(try open(world, sidecar, "dns", to: IPv4Endpoint(StackNetwork.nameService, 53)))
    }

    @Test("gateway and peers answer pings")
    func pings() throws {
        let (world, _) = try begin()
        #expect(world.run("ping 198.18.0.1") == "pong")
        #expect(world.run("ping 198.18.7.8") == "pong")
        #expect(world.run("ping 203.0.113.5") != "pong")
    }

    @Test("a bulk of bytes arrives whole, both ways, also when its reader is slow to begin")
    func bulk() throws {
        let (world, sidecar) = try begin()
        let flow = try open(world, sidecar, "a")
        defer { close(flow) }
        let count = 20_000_000
        world.start("send_zeros a \(count)")
        #expect(flow.count(to: count) == count)
        #expect(world.answer() == "sent")
        world.start("count a")
        flow.writeZeros(count)
        shutdown(flow, Int32(SHUT_WR))
        #expect(world.answer() == "\(count)")
    }

    // MARK: Egress

    @Test("egress that nothing allows is refused at once, and reported", arguments: ["slirp", "veth"])
    func egressRefused(datapath: String) throws {
        let (world, sidecar) = try begin(datapath)
        #expect(world.run("connect \(Self.host.address) 7000") == "ECONNREFUSED")
        let tcp = try #require(sidecar.egress())
        #expect(tcp.event == .refused(.notAllowed, attempts: 1) && tcp.tuple.destination == Self.host)
        #expect(world.run("udp \(Self.host.address) 7000 x") == "EHOSTUNREACH")
        #expect(try #require(sidecar.egress()).flowProtocol == .udp)
    }

    @Test(
        "an allowed endpoint is reached, its bytes are counted, and no other is",
        arguments: ["slirp", "veth"])
    func egressAllowed(datapath: String) throws {
        let (world, sidecar) = try begin(datapath)
        sidecar.send(.allow(Self.host, .tcp, until: nil))
        #expect(world.run("connect \(Self.host.address) 7000 a").split(separator: " ").count == 2)
        #expect(try #require(sidecar.egress()).event == .opened)
        #expect(world.run("say a hello") == "said")
        #expect(world.run("hear a") == "hello")
        #expect(world.run("connect \(Self.host.address) 7001") == "ECONNREFUSED")
        #expect(try #require(sidecar.egress()).event == .refused(.notAllowed, attempts: 1))
        #expect(world.run("close a") == "closed")
        guard case .closed(.finished, 5, 5, _) = try #require(sidecar.egress()).event else {
            Issue.record("\(sidecar.reports)")
            return
        }
    }

    @Test("an allowed port where nobody listens refuses as it would without a mesh")
    func egressNobody() throws {
        let (world, sidecar) = try begin("veth")
        sidecar.send(.allow(IPv4Endpoint(Self.host.address, 7009), .tcp, until: nil))
        #expect(world.run("connect \(Self.host.address) 7009") == "ECONNREFUSED")
        #expect(try #require(sidecar.egress()).event == .opened)
        guard case .closed(.finished, 0, 0, _) = try #require(sidecar.egress()).event else {
            Issue.record("\(sidecar.reports)")
            return
        }
    }

    @Test("this host's own and private addresses need to be listed literally")
    func egressInward() throws {
        let (world, sidecar) = try begin("veth")
        let soon = MonotonicTime(nanoseconds: .max - 1)
        sidecar.send(.allow(Self.host, .tcp, until: soon))
        sidecar.send(.allow(Self.inward, .tcp, until: soon))
        #expect(world.run("connect \(Self.host.address) 7000") == "ECONNREFUSED")
        #expect(world.run("connect \(Self.inward.address) 7000") == "ECONNREFUSED")
        sidecar.send(.allow(Self.inward, .tcp, until: nil))
        #expect(world.run("connect \(Self.inward.address) 7000 a").split(separator: " ").count == 2)
    }

    @Test("a revoked permission resets the flow and refuses the next")
    func egressRevoked() throws {
        let (world, sidecar) = try begin("veth")
        sidecar.send(.allow(Self.host, .tcp, until: nil))
        #expect(world.run("connect \(Self.host.address) 7000 a").split(separator: " ").count == 2)
        #expect(world.run("say a hello") == "said")
        #expect(world.run("hear a") == "hello")
        sidecar.send(.revoke(Self.host, .tcp))
        #expect(world.run("hear a") == "ECONNRESET")
        #expect(world.run("connect \(Self.host.address) 7000") == "ECONNREFUSED")
        let ended = sidecar.next {
            if case .egress(let report) = $0, case .closed(let end, _, _, _) = report.event {
                end
            } else {
                nil
            }
        }
        #expect(ended == .revoked)
    }

    @Test("datagrams out of the mesh are answered by whom they asked, and by nobody else")
    func egressDatagrams() throws {
        let (world, sidecar) = try begin("veth")
        sidecar.send(.allow(Self.host, .udp, until: nil))
        #expect(world.run("udp_from_anyone \(Self.host.address) 7000 hello") == "hello alone")
        #expect(try #require(sidecar.egress()).event == .opened)
    }

    @Test("raw frames to loopback and link-local addresses, or from another source, reach nobody")
    func rawFrames() throws {
        let (world, _) = try begin("veth")
        for address in ["127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254"] {
            // RST and ACK; a connection would answer 0x12.
            #expect(world.run("raw_syn \(address)") == "flags 0x14", "\(address)")
        }
        #expect(world.run("raw_syn \(Self.host.address) 198.18.5.7") == "silence")
        #expect(world.run("ping 198.18.0.1") == "pong")
    }

    // MARK: Holding

    @Test("connections beyond the cap are refused, and the process lives on")
    func flowCap() throws {
        // 96 descriptors are spare: a limit of 100 leaves 4 flows.
        let (world, sidecar) = try begin("limited")
        sidecar.send(.allow(Self.host, .tcp, until: nil))
        #expect(world.run("flood \(Self.host.address) 7000 10") == "4 [('ECONNREFUSED', 6)]")
        #expect(world.run("say flood0 x") == "said")
        #expect(world.run("hear flood0") == "x")
        #expect(world.run("close flood0") == "closed")
        #expect(
            sidecar.next { if case .egress(let report) = $0 { report.event.isClosed } else { nil } } == true)
        #expect(world.run("connect \(Self.host.address) 7000 again").split(separator: " ").count == 2)
    }

    @Test("frames of no sense leave the process serving")
    func junk() throws {
        let (world, sidecar) = try begin()
        sidecar.send(.allow(Self.host, .tcp, until: nil))
        #expect(world.run("junk 7 20000") == "sent")
        #expect(world.run("ping 198.18.0.1") == "pong")
        #expect(!sidecar.isEnded)
    }

    @Test("the process ends with its sidecar, and when it is told nonsense", arguments: [true, false])
    func end(byNonsense: Bool) throws {
        let (world, sidecar) = try begin()
        if byNonsense {
            sidecar.sendBytes([9, 9, 9])
            #expect(sidecar.receive(within: 10_000) == nil && sidecar.isEnded)
        } else {
            shutdown(world.descriptor, Int32(SHUT_RDWR))
        }
        #expect(world.isEventually("stack_state", "gone"))
    }

    @Test("its one idle thread holds little memory of its own")
    func memory() throws {
        let (world, _) = try begin()
        #expect(world.run("ping 198.18.0.1") == "pong")
        let words = world.run("stack_memory").split(separator: " ").compactMap { Int($0) }
        #expect(words.count == 2 && words[0] < 2048 && words[1] == 1, "anonymous KiB, threads: \(words)")
    }
}

extension EgressReport.Event {
    /// True for an end; nil otherwise.
    fileprivate var isClosed: Bool? {
        if case .closed = self { true } else { nil }
    }
}
