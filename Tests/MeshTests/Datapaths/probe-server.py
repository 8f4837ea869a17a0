"""What the datapaths' table asks of a callee: it says who called, echoes datagrams, and resets."""

import selectors
import socket
import struct
import sys
import threading

RESET = struct.pack("ii", 1, 0)
resets = []


def tcp(port, family=socket.AF_INET, address="0.0.0.0"):
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, port))
    listener.listen(16)
    return listener


def serve(connection, peer):
    """One command a connection."""
    try:
        command = connection.recv(1)
        if command == b"w":
            connection.sendall(f"{peer[0]} {peer[1]}".encode())
        elif command == b"h":
            while connection.recv(4096):
                pass
            connection.sendall(b"after the end")
        elif command == b"r":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif command == b"?":
            connection.sendall(b"reset" if resets else b"no reset")
        elif command == b"x":
            connection.sendall(b"!")
            while connection.recv(4096):
                pass
    except ConnectionResetError:
        resets.append(peer)
    finally:
        connection.close()


def accept(listener):
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=serve, args=(connection, peer), daemon=True).start()


def main():
    listeners = [tcp(7000), tcp(7001, address="127.0.0.1"), tcp(7002, socket.AF_INET6, "::1")]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", 7003))
    for listener in listeners:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    while True:
        payload, peer = datagrams.recvfrom(1 << 16)
        datagrams.sendto(payload, peer)


main()
