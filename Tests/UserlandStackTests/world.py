"""A host and a workload for the userland stack, made of namespaces; run as `unshare -Urn python3 world.py …`.

    world.py SOCKET OWN [PROBE DATAPATH]

The network namespace it finds itself in is the host: 203.0.113.5 and 10.99.0.1 are its addresses, with echo
servers on port 7000 (TCP and UDP) and a server on 7001 that says `bye` and closes at once. The workload's
namespace is made beside it, with a TAP as its only way out. With PROBE, the userland stack is started in the
host, and the test gets its end of the channel through SOCKET; without, it gets the TAP.

Then commands are read from standard input, one a line, and carried out in the workload's namespace; each is
answered by one line.
"""

import ctypes, errno, fcntl, os, resource, socket, struct, subprocess, sys, threading, time

HOST = "203.0.113.5"
GATEWAY = "198.18.0.1"
libc = ctypes.CDLL(None, use_errno=True)


def sh(command):
    subprocess.run(command, shell=True, check=True)


def send_descriptors(path, *descriptors):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.connect(path)
        socket.send_fds(control, [b"x"], descriptors)


# The host: servers that allowed egress may reach.

def echo_tcp(server):
    while True:
        connection, _ = server.accept()
        def serve(connection=connection):
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)
        threading.Thread(target=serve, daemon=True).start()


def echo_udp(server):
    while True:
        data, sender = server.recvfrom(65536)
        server.sendto(data, sender)
        # A stranger who finds the port must not get through.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((HOST, 0))
            stranger.sendto(b"stranger", sender)


def bye_tcp(server):
    while True:
        connection, _ = server.accept()
        connection.sendall(b"bye")
        connection.close()


def host():
    sh(f"ip link set lo up; ip addr add {HOST}/32 dev lo; ip addr add 10.99.0.1/32 dev lo")
    tcp = socket.create_server(("0.0.0.0", 7000), backlog=512)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 7000))
    bye = socket.create_server(("0.0.0.0", 7001), backlog=512)
    threading.Thread(target=echo_tcp, args=(tcp,), daemon=True).start()
    threading.Thread(target=bye_tcp, args=(bye,), daemon=True).start()
    threading.Thread(target=echo_udp, args=(udp,), daemon=True).start()


# The workload.

def make_workload(own):
    """Enters a new network namespace; returns its TAP."""
    if libc.unshare(0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # IFF_TAP | IFF_NO_PI
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x1002))
    if os.path.exists("/proc/sys/net/ipv6/conf"):
        for device in ("all", "default", "tap0"):
            with open(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6", "w") as file:
                file.write("1")
    sh(f"ip link set lo up; ip link set tap0 mtu 16384; ip addr add {own}/32 dev tap0; ip link set tap0 up;"
       f"ip route add {GATEWAY}/32 dev tap0 src {own};"
       f"ip route add default via {GATEWAY} dev tap0 onlink src {own}")
    return tap


def name(error):
    return errno.errorcode.get(error.errno, str(error)) if isinstance(error, OSError) else repr(error)


class Workload:
    """Each method is a command; its arguments are the words that follow."""

    def __init__(self, stack):
        self.held = {}
        self.stack = stack

    def stack_state(self):
        return "there" if os.path.exists(f"/proc/{self.stack}") else "gone"

    def stack_memory(self):
        """Anonymous memory of the stack's process in KiB, and its threads."""
        with open(f"/proc/{self.stack}/status") as file:
            values = dict(line.split(":") for line in file)
        return f"{values['RssAnon'].split()[0]} {values['Threads'].strip()}"

    def connect(self, address, port, label=None):
        """Connects, and keeps the connection under a label; says the local port and how long it took."""
        connection = socket.socket()
        connection.settimeout(20)
        begun = time.monotonic()
        connection.connect((address, int(port)))
        taken = time.monotonic() - begun
        local = connection.getsockname()[1]
        if label:
            self.held[label] = connection
        else:
            connection.close()
        return f"{local} {taken:.3f}"

    def say(self, label, text):
        self.held[label].sendall(text.encode())
        return "said"

    def hear(self, label):
        return self.held[label].recv(65536).decode() or "end"

    def shut(self, label):
        self.held[label].shutdown(socket.SHUT_WR)
        return "shut"

    def close(self, label):
        self.held.pop(label).close()
        return "closed"

    def reset(self, label):
        self.held[label].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.held.pop(label).close()
        return "reset"

    def poll_reset(self, label):
        """Whether the connection has been reset, whatever is left to read."""
        error = self.held[label].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return {0: "alive", errno.ECONNRESET: "reset"}.get(error, str(error))

    def send_zeros(self, label, count):
        count, chunk = int(count), bytes(1 << 18)
        while count > 0:
            count -= self.held[label].send(chunk[:count])
        return "sent"

    def count(self, label):
        """Reads to the end, and says how many bytes came and their sum."""
        total, digest = 0, 0
        while data := self.held[label].recv(1 << 18):
            total += len(data)
            digest = (digest + sum(data[::4096])) & 0xFFFFFFFF
        return f"{total}"

    def flood(self, address, port, count):
        """Opens many connections at once; says how many are open and the errors of the others."""
        errors = {}
        opened = 0
        for index in range(int(count)):
            connection = socket.socket()
            connection.settimeout(20)
            try:
                connection.connect((address, int(port)))
                self.held[f"flood{index}"] = connection
                opened += 1
            except OSError as error:
                errors[name(error)] = errors.get(name(error), 0) + 1
        return f"{opened} {sorted(errors.items())}"

    def sequence(self, address, port, count):
        """Opens one connection after the other, each until the server has ended it; says how many."""
        for index in range(int(count)):
            with socket.socket() as connection:
                connection.settimeout(20)
                try:
                    connection.connect((address, int(port)))
                    while connection.recv(100):
                        pass
                except OSError as error:
                    return f"{index} {name(error)}"
        return count

    def unacknowledged(self):
        """How many connections still wait for anything, be it for the acknowledgement of their end."""
        with open("/proc/net/tcp") as file:
            return str(sum(line.split()[3] != "06" for line in list(file)[1:]))

    def stack_descriptors(self):
        """How many descriptors the stack's process holds."""
        return str(len(os.listdir(f"/proc/{self.stack}/fd")))

    def udp(self, address, port, text, count="1"):
        """Sends a datagram of `text`, `count` times over, and says what comes back."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as association:
            association.settimeout(10)
            association.connect((address, int(port)))
            association.send(text.encode() * int(count))
            data = association.recv(65536)
            return f"{len(data)} {data[:40].decode()}"

    def udp_from_anyone(self, address, port, text):
        """The same on a socket that hears everybody; waits for a second datagram too."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as association:
            association.settimeout(10)
            association.sendto(text.encode(), (address, int(port)))
            first = association.recv(65536).decode()
            association.settimeout(0.5)
            try:
                return f"{first} {association.recv(65536).decode()}"
            except TimeoutError:
                return f"{first} alone"

    def ping(self, address):
        done = subprocess.run(["ping", "-c", "1", "-W", "5", address], capture_output=True, text=True)
        return "pong" if done.returncode == 0 else (done.stdout.splitlines() or ["nothing"])[1]

    def raw_syn(self, destination, source=None):
        """Writes a SYN as a raw frame, as no workload of mesh's could; says the flags of the answer."""
        own = OWN if source is None else source
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
            raw.bind(("tap0", 0))
            raw.settimeout(2)
            hardware = raw.getsockname()[4]
            raw.send(bytes.fromhex("5255c6120001") + hardware + b"\x08\x00" + syn(own, destination))
            deadline = time.monotonic() + 2
            try:
                while time.monotonic() < deadline:
                    frame = raw.recv(65536)
                    if frame[26:30] == socket.inet_aton(destination) and frame[23] == 6:
                        return f"flags {frame[47]:#x}"
            except TimeoutError:
                pass
            return "silence"

    def raw_hex(self, text):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind(("tap0", 0))
            raw.send(bytes.fromhex(text))
        return "sent"

    def junk(self, seed, count):
        """Many frames of no sense at all."""
        import random
        numbers = random.Random(int(seed))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind(("tap0", 0))
            hardware = raw.getsockname()[4]
            for _ in range(int(count)):
                packet = bytearray(syn(OWN, numbers.choice([HOST, "198.18.7.8", GATEWAY, "127.0.0.1"])))
                packet += numbers.randbytes(numbers.randrange(200))
                for _ in range(numbers.randrange(4)):
                    packet[numbers.randrange(len(packet))] = numbers.randrange(256)
                # A right header checksum lets more of them through to what lies behind it.
                packet[10:12] = b"\0\0"
                packet[10:12] = struct.pack("!H", checksum(packet[:20]))
                raw.send(bytes.fromhex("5255c6120001") + hardware + b"\x08\x00" + bytes(packet))
        return "sent"


def checksum(data):
    data = bytes(data) + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source, destination):
    source, destination = socket.inet_aton(source), socket.inet_aton(destination)
    tcp = struct.pack("!HHIIBBHHH", 40123, 7000, 7, 0, 0x50, 2, 65535, 0, 0)
    total = checksum(source + destination + struct.pack("!HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + source + destination
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + tcp


def serve(workload):
    print("ready", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        try:
            answer = getattr(workload, command)(*words)
        except Exception as error:
            answer = name(error)
        try:
            print(answer, flush=True)
        except BrokenPipeError:
            # The test is over.
            os._exit(0)


def main():
    global OWN
    path, OWN, *probe = sys.argv[1:]
    inner, outer = socket.socketpair()
    child = os.fork()
    if child == 0:
        outer.close()
        tap = make_workload(OWN)
        socket.send_fds(inner, [b"x"], [tap])
        os.close(tap)
        serve(Workload(struct.unpack("i", inner.recv(4))[0]))
        os._exit(0)
    host()
    _, (tap,), _, _ = socket.recv_fds(outer, 1, 1)
    if probe:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        send_descriptors(path, theirs.fileno())
        theirs.close()
        stack = os.fork()
        if stack == 0:
            if probe[1] == "limited":
                probe[1] = "veth"
                resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
            os.dup2(os.dup(tap), 20)
            os.dup2(os.dup(ours.fileno()), 21)
            os.dup2(20, 4)
            os.dup2(21, 3)
            os.execv(probe[0], [probe[0], "userland-stack", probe[1], OWN])
        ours.close()
        outer.send(struct.pack("i", stack))
        threading.Thread(target=os.waitpid, args=(stack, 0), daemon=True).start()
    else:
        send_descriptors(path, tap)
        outer.send(struct.pack("i", 0))
    os.close(tap)
    os.waitpid(child, 0)


main()
