#!/usr/bin/env python3
"""A userland stack that an attacker has taken over: it tells the sidecar what its own name says."""

import os, socket, struct, sys

channel = socket.socket(fileno=3)
channel.setblocking(True)
lie = os.path.basename(sys.argv[0])
own = (sys.argv[3], 40000)
peer = ("198.18.7.8", 80)


def endpoint(address):
    return socket.inet_aton(address[0]) + struct.pack("!H", address[1])


def question(number, source=own, destination=peer, kind=2):
    return struct.pack("!BBQ", 1, kind, number) + endpoint(source) + endpoint(destination)


def say(message, *descriptors):
    socket.send_fds(channel, [message], descriptors)


def honest_question():
    say(question(1))
    return channel.recv(65600)


ours, theirs = socket.socketpair()
say(b"\1\1")
if lie == "version":
    say(b"\2\1")
elif lie == "nonsense":
    say(b"\1\2\3")
elif lie == "command":
    say(b"\1\x12" + endpoint(peer) + b"\6" + b"\xff" * 8)
elif lie == "foreign-source":
    say(question(1, source=("198.18.5.7", 40000)))
elif lie == "outside":
    say(question(1, destination=("93.184.216.34", 80)))
elif lie == "own-address":
    say(b"\1\4" + endpoint(own) + endpoint(("127.0.0.1", 80)) + b"x")
elif lie == "repeated":
    say(question(1))
    say(question(1))
elif lie == "egress-inside":
    say(b"\1\5\6" + endpoint(own) + endpoint(peer) + b"\1")
elif lie == "unserved-flow":
    # One port beside a served one.
    say(question(1, destination=("198.18.7.8", 81), kind=3), theirs.fileno())
elif lie == "served-flow-of-another":
    say(question(1, source=("198.18.5.7", 40000), kind=3), theirs.fileno())
elif lie == "unasked-flow":
    say(question(1, kind=3), theirs.fileno())
elif lie == "unanswered-flow":
    say(question(1))
    say(question(1, kind=3), theirs.fileno())
elif lie == "other-addresses":
    honest_question()
    say(question(1, destination=("198.18.7.9", 80), kind=3), theirs.fileno())
elif lie == "no-descriptor":
    honest_question()
    say(question(1, kind=3))
elif lie == "pipe":
    honest_question()
    say(question(1, kind=3), os.pipe()[0])
elif lie == "host-socket":
    honest_question()
    host = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    say(question(1, kind=3), host.fileno())
elif lie == "listener":
    honest_question()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(b"\0mesh-liar-%d" % os.getpid())
    listener.listen()
    say(question(1, kind=3), listener.fileno())
elif lie == "stray-descriptor":
    say(question(1), theirs.fileno())
elif lie == "truth":
    honest_question()
    say(question(1, kind=3), theirs.fileno())
theirs.close()
# An end by itself isn't what the tests wait for, nor is the reset that unread commands would make of it.
channel.settimeout(30)
try:
    while channel.recv(65600):
        pass
except OSError:
    pass
