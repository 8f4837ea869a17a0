"""Each row of the datapaths' table: what an unmodified program sees. Prints `row<TAB>answer`."""

import errno
import socket
import struct
import subprocess

HOST = "server.mesh"
RESET = struct.pack("ii", 1, 0)
IP_MTU = 14
rows = []


def row(text):
    def add(probe):
        rows.append((text, probe))
        return probe

    return add


def connected(port=7000, family=socket.AF_INET, timeout=10):
    address = socket.getaddrinfo(HOST, port, family, socket.SOCK_STREAM)[0][4]
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.connect(address)
    return connection


def asked(command, **options):
    with connected(**options) as connection:
        connection.sendall(command)
        return connection.recv(100).decode()


@row("a peer's name has an IPv6 address")
def name6():
    try:
        return "yes" if socket.getaddrinfo(HOST, 7000, socket.AF_INET6) else "no"
    except socket.gaierror:
        return "no"


@row("TCP to a peer over IPv6")
def tcp6():
    try:
        return "yes" if asked(b"w", family=socket.AF_INET6) else "no"
    except socket.gaierror:
        return "no"


@row("the callee sees the caller in")
def caller():
    return ".".join(asked(b"w").split()[0].split(".")[:2]) + ".0.0/16"


@row("the callee sees the caller's own port")
def callers_port():
    with connected() as connection:
        own = connection.getsockname()[1]
        connection.sendall(b"w")
        return "yes" if connection.recv(100).decode().split()[1] == str(own) else "no"


@row("a service on 127.0.0.1 only is reached")
def loopback():
    return "yes" if asked(b"w", port=7001) else "no"


@row("a service on ::1 only is reached")
def loopback6():
    try:
        return "yes" if asked(b"w", port=7002) else "no"
    except ConnectionError:
        return "no"


@row("one half of a connection may end before the other")
def half_close():
    with connected() as connection:
        connection.sendall(b"h")
        connection.shutdown(socket.SHUT_WR)
        return "yes" if connection.recv(100) == b"after the end" else "no"


@row("the callee's reset reaches the caller")
def reset_by_callee():
    with connected() as connection:
        connection.sendall(b"r")
        try:
            connection.recv(100)
            return "no"
        except ConnectionResetError:
            return "yes"


@row("the caller's reset reaches the callee")
def reset_by_caller():
    connection = connected()
    connection.sendall(b"x")
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()
    for _ in range(50):
        if asked(b"?") == "reset":
            return "yes"
    return "no"


@row("a peer's port that isn't served")
def unserved():
    return refused(HOST, 7999)


@row("a virtual address that is nobody's")
def nobody():
    return refused("198.18.255.1", 80)


@row("an address outside that `egress` doesn't name")
def outside():
    return refused("203.0.113.1", 80)


def refused(host, port):
    try:
        socket.create_connection((host, port), timeout=10).close()
        return "connected"
    except socket.timeout:
        return "silence"
    except OSError as error:
        return errno.errorcode[error.errno]


@row("UDP to a port on which nobody listens")
def unreachable():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.connect((HOST, 7004))
        try:
            for _ in range(5):
                datagrams.send(b"?")
                try:
                    datagrams.recv(10)
                except socket.timeout:
                    pass
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno]


@row("the largest UDP datagram that comes back, bytes")
def largest():
    found = 0
    for size in (1, 1472, 1473, 16_000, 32_000, 60_000, 65_507):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(3)
            datagrams.connect((HOST, 7003))
            try:
                datagrams.send(b"x" * size)
                found = max(found, len(datagrams.recv(1 << 16)))
            except OSError:
                pass
    return str(found)


@row("MTU towards peers")
def mtu():
    with connected() as connection:
        return str(connection.getsockopt(socket.IPPROTO_IP, IP_MTU))


@row("TCP window scaling")
def window_scaling():
    with connected() as connection:
        # struct tcp_info: the sixth byte holds the options that were agreed; 4 is window scaling.
        return "yes" if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 4 else "no"


@row("ping to the stack's gateway 198.18.0.1")
def ping():
    done = subprocess.run(["ping", "-c", "1", "-W", "5", "198.18.0.1"], capture_output=True)
    return "answered" if done.returncode == 0 else "silence"


@row("a raw socket of the workload")
def raw():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)).close()
        return "allowed"
    except OSError as error:
        return errno.errorcode[error.errno]


for text, probe in rows:
    try:
        answer = probe()
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(f"{text}\t{answer}", flush=True)
