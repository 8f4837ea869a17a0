// A drill on this sidecar's own event loop: canary flows through sessions, permits and TCP as real ones
// go, beside whatever traffic there is.
//
// Theory of operation
//
//   Two canaries (`CanaryPair`) meet over loopback TCP: each has a core, permits and a decision epoch of
//   its own, so a withdrawn canary permission re-decides canary flows and no other. What they share with
//   the real flows is the code, the event loop and the kernel, which is what the drill measures. Each
//   millisecond both ends of each flow write 256 bytes.

import NIOCore
import SidecarProtocol
import Transport

final class DrillRun {
    typealias Outcome = Result<CutDrill, DrillFailure>

    struct DrillFailure: Error, CustomStringConvertible {
        let description: String
    }

    private let loop: any EventLoop
    private let pair: CanaryPair
    private let caller: CanarySidecar
    private let callee: CanarySidecar
    private var listener: PeerListener?
    private var drill: CutDrill
    private var finished: ((Outcome) -> Void)?

    /// - Parameter finished: called once, on the loop.
    init(
        samples: Int, on loop: any EventLoop, finished: @escaping (Outcome) -> Void
    ) throws {
        self.loop = loop
        self.finished = finished
        let now = Now.current()
        pair = try CanaryPair(seed: .random(count: CanaryPair.seedByteCount), at: now.wall)
        drill = CutDrill(samples: samples, at: now.monotonic)
        caller = CanarySidecar(pair.caller, .caller, on: loop, at: now)
        callee = CanarySidecar(pair.callee, .callee, on: loop, at: now)
        var listening = WorkloadConfiguration(workload: pair.callee.configuration.workload)
        listening.listen = ["127.0.0.1:0"]
        listener = try PeerListener(listening, on: loop) { [weak self] channel in
            guard let self else { throw ChannelError.operationUnsupported }
            callee.accept(channel)
        }
        try listener?.use(callee.firstFlightKeys)
    }

    func start() {
        for side in [caller, callee] {
            side.onEvent = { [unowned self, unowned side] in happened($0, $1, at: side.side) }
        }
        callee.feed(.listening(listener?.endpoints ?? []))
        // A first dial makes the caller want its callee, whose announcement it is then given.
        caller.dial(CanaryPair.port)
        introduce()
        tick()
    }

    private func introduce() {
        for record in callee.announced.records {
            caller.feed(.announcement(record, certificates: callee.announced.certificates))
        }
    }

    private func happened(_ event: CanarySidecar.Event, _ stream: StreamID, at side: CutDrill.Side) {
        let now = Now.current().monotonic
        switch event {
        case .opened: if side == .caller { drill.opened(UInt64(stream.number)) }
        case .moved(let count): drill.moved(count, flow: UInt64(stream.number), at: side, now)
        case .cut: drill.cut(UInt64(stream.number), at: side, now)
        }
    }

    // MARK: Steps

    private func tick() {
        caller.tick()
        callee.tick()
        switch drill.next(isPermitted: caller.isPermitted(CanaryPair.port), at: Now.current().monotonic) {
        case .wait: break
        case .open(let count): for _ in 0..<count { caller.dial(CanaryPair.port) }
        case .withdraw(let side): withdraw(side)
        case .restore(let side):
            end(side).feed(.configuration(canary(side).configuration))
        case .finish: return finish(.success(drill))
        case .fail(let why): return finish(.failure(DrillFailure(description: why)))
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(1)) { bound.value.tick() }
    }

    private func withdraw(_ side: CutDrill.Side) {
        drill.withdrew(at: Now.current().monotonic)
        end(side).feed(.configuration(canary(side).withdrawn))
    }

    private func end(_ side: CutDrill.Side) -> CanarySidecar { side == .caller ? caller : callee }

    private func canary(_ side: CutDrill.Side) -> CanaryPair.Canary {
        side == .caller ? pair.caller : pair.callee
    }

    private func finish(_ outcome: Outcome) {
        caller.close()
        callee.close()
        listener?.close()
        listener = nil
        finished?(outcome)
        finished = nil
    }
}

extension [UInt8] {
    /// Of the kernel's randomness.
    fileprivate static func random(count: Int) -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<count).map { _ in random.next() }
    }
}
