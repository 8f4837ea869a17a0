import Glibc
import NIOCore
import NIOPosix
import Sidecar
import SidecarProtocol

/// A client on an event loop of its own, on a world's TAP, and what its delegate heard.
final class ClientBench {
    enum Event: Sendable {
        case asked(StackQuestionID, to: Endpoint)
        case opened(CInt, StackQuestionID)
        case received([UInt8], from: Endpoint, to: Endpoint)
        case egress(EgressReport)
        case ended(String)
    }

    let world: World
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let heard: NIOLoopBound<Heard>
    private let client: NIOLoopBound<StackClient>
    private let starter: StackSpawner

    init(executable: String = World.probe) throws {
        let world = try World(datapath: nil)
        self.world = world
        let loop = group.next()
        let tap = world.descriptor
        let starter = StackSpawner(executable: executable, tap: tap)
        self.starter = starter
        (heard, client) = try loop.submit {
            let heard = Heard()
            let client = StackClient(
                StackClient.Settings(
                    tap: tap, own: UserlandStackTests.own, datapath: .slirp, starter: starter),
                eventLoop: loop, delegate: heard)
            try client.start()
            return (NIOLoopBound(heard, eventLoop: loop), NIOLoopBound(client, eventLoop: loop))
        }.wait()
    }

    func stop() {
        perform { $0.stop() }
        try? group.syncShutdownGracefully()
    }

    func perform(_ action: @escaping @Sendable (StackClient) -> Void) {
        let client = client
        try? group.next().submit { action(client.value) }.wait()
    }

    var isRunning: Bool {
        let client = client
        return (try? group.next().submit { client.value.isRunning }.wait()) ?? false
    }

    /// Kills the process as a fault of its own would end it.
    func killProcess() {
        starter.kill()
    }

    /// The next event for which `select` has a value; those before it are gone.
    func next<T>(_ select: (Event) -> T?) -> T? {
        let heard = heard
        for _ in 0..<1000 {
            while let event = (try? group.next().submit { heard.value.take() }.wait()) ?? nil {
                if let value = select(event) { return value }
            }
            usleep(10_000)
        }
        return nil
    }

    private final class Heard: StackClientDelegate {
        private var events: [Event] = []

        func take() -> Event? { events.isEmpty ? nil : events.removeFirst() }

        func stack(_ stack: StackClient, asks id: StackQuestionID, from: Endpoint, to: Endpoint) {
            events.append(.asked(id, to: to))
        }
        func stack(
            _ stack: StackClient, opened flow: CInt, for id: StackQuestionID, from: Endpoint, to: Endpoint
        ) { events.append(.opened(flow, id)) }
        func stack(_ stack: StackClient, received datagram: [UInt8], from: Endpoint, to: Endpoint) {
            events.append(.received(datagram, from: from, to: to))
        }
        func stack(_ stack: StackClient, reports egress: EgressReport) { events.append(.egress(egress)) }
        func stack(_ stack: StackClient, counts counters: StackCounters) {}
        func stack(_ stack: StackClient, ended reason: String) { events.append(.ended(reason)) }
    }
}
