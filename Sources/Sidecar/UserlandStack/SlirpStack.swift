import CLinuxShims
import CSlirp
import Glibc
import SidecarProtocol

/// What libslirp calls back for. Every call comes from within one of `SlirpStack`'s own.
protocol SlirpDelegate: AnyObject {
    /// A frame for the workload.
    func slirpWrote(_ frame: UnsafeRawBufferPointer)
    func slirpOpened(_ descriptor: Int32)
    func slirpWillClose(_ descriptor: Int32)
    func slirpComplained(_ message: String)
}

/// libslirp 4.7 with the settings that this network needs. It isn't thread-safe, and neither is this.
final class SlirpStack {
    private let slirp: OpaquePointer
    let poll: PollMirror
    private let context: Unmanaged<Context>

    /// What the C callbacks get. libslirp keeps pointers to it and to the table of callbacks.
    fileprivate final class Context {
        let poll: PollMirror
        unowned let delegate: any SlirpDelegate
        let callbacks: UnsafeMutablePointer<SlirpCb>

        init(poll: PollMirror, delegate: any SlirpDelegate) {
            self.poll = poll
            self.delegate = delegate
            callbacks = .allocate(capacity: 1)
            callbacks.initialize(to: SlirpStack.callbacks())
        }
    }

    /// Nil where libslirp refuses its settings, which would be a programmer's error.
    init?(poll: PollMirror, delegate: any SlirpDelegate) {
        let context = Unmanaged.passRetained(Context(poll: poll, delegate: delegate))
        var config = SlirpConfig()
        config.version = 4
        config.in_enabled = true
        config.in6_enabled = false
        config.vnetwork = networkOrder(StackNetwork.network)
        config.vnetmask = networkOrder(StackNetwork.mask)
        config.vhost = networkOrder(StackNetwork.gateway)
        config.vnameserver = networkOrder(StackNetwork.unusedNameServer)
        config.if_mtu = StackNetwork.transmissionUnit
        config.if_mru = StackNetwork.transmissionUnit
        config.disable_host_loopback = true
        config.disable_dns = true
        config.disable_dhcp = true
        config.enable_emu = false
        guard let slirp = slirp_new(&config, context.takeUnretainedValue().callbacks, context.toOpaque())
        else {
            context.release()
            return nil
        }
        self.slirp = slirp
        self.poll = poll
        self.context = context
    }

    func input(_ frame: UnsafeRawBufferPointer) {
        slirp_input(slirp, frame.bindMemory(to: UInt8.self).baseAddress, Int32(frame.count))
    }

    /// Connections to `endpoint` are made to the unix socket at `path` from now on.
    func forward(_ endpoint: IPv4Endpoint, to path: String) {
        var address = networkOrder(endpoint.address)
        _ = slirp_add_unix(slirp, path, &address, Int32(endpoint.port))
    }

    /// Tells the mirror what to wait for. Returns how long at most, in milliseconds.
    ///
    /// - Parameter change: what may be done while the mirror knows anew what each socket waits for, and the
    ///   kernel hasn't been told yet of those that wait for nothing.
    func prepareToWait(_ change: () -> Void) -> UInt32 {
        poll.beginRound()
        var timeout = UInt32.max
        slirp_pollfds_fill(
            slirp, &timeout,
            { descriptor, events, opaque in Context.of(opaque).poll.want(descriptor, events) },
            context.toOpaque())
        change()
        poll.endRound()
        return timeout
    }

    /// Serves the timers, and the sockets that the mirror holds as ready. While the workload's TAP takes
    /// nothing more, only the timers.
    func serve(socketsToo: Bool) {
        slirp_pollfds_poll(
            slirp, socketsToo ? 0 : 1,
            { descriptor, opaque in Context.of(opaque).poll.events(of: descriptor) }, context.toOpaque())
        poll.clearReady()
    }

    private static func callbacks() -> SlirpCb {
        var table = SlirpCb()
        table.send_packet = { bytes, count, opaque in
            Context.of(opaque).delegate.slirpWrote(UnsafeRawBufferPointer(start: bytes, count: count))
            return count
        }
        table.guest_error = { message, opaque in
            Context.of(opaque).delegate.slirpComplained(message.map { String(cString: $0) } ?? "")
        }
        table.clock_get_ns = { _ in
            var time = timespec()
            clock_gettime(CLOCK_BOOTTIME, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        // Timers are for IPv6's router advertisements, which are off.
        table.timer_new = { _, _, _ in nil }
        table.timer_free = { _, _ in }
        table.timer_mod = { _, _, _ in }
        table.register_poll_fd = { descriptor, opaque in
            guard descriptor >= 0 else { return }
            SlirpStack.raiseSendBuffer(descriptor)
            Context.of(opaque).delegate.slirpOpened(descriptor)
        }
        table.unregister_poll_fd = { descriptor, opaque in
            guard descriptor >= 0 else { return }
            Context.of(opaque).poll.willClose(descriptor)
            Context.of(opaque).delegate.slirpWillClose(descriptor)
        }
        table.notify = { _ in }
        return table
    }

    /// libslirp's window is 64 KiB: with a small buffer behind it, a slow reader closes it below one
    /// segment, and the workload's kernel waits for its persist timer.
    private static func raiseSendBuffer(_ descriptor: Int32) {
        var size: Int32 = 1 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
}

extension SlirpStack.Context {
    static func of(_ opaque: UnsafeMutableRawPointer?) -> SlirpStack.Context {
        // libslirp hands back what `slirp_new` was given.
        Unmanaged.fromOpaque(opaque.unsafelyUnwrapped).takeUnretainedValue()
    }
}

/// Which module `in_addr`'s field belongs to depends on what else was imported first; its layout doesn't.
private func networkOrder(_ address: IPv4Address) -> in_addr {
    unsafeBitCast(address.number.bigEndian, to: in_addr.self)
}
