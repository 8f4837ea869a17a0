#!/usr/bin/env python3
"""Sends the same random commands to redis-server and to StateProbe, and compares the bytes of each reply.

    compare.py --probe PATH [--commands N] [--seed N] [--redis PATH]

Both listen on sockets in a folder of their own, and are ended with it. A reply of set members or keys is compared
without its order, which Redis leaves open. The exit code says whether something else differed.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from generate import Generator

# Replies whose elements stand in no order that anybody promises.
UNORDERED = {b"keys", b"smembers", b"sinter", b"sunion", b"sdiff", b"sscan", b"hscan", b"zscan", b"scan",
             b"hgetall", b"hkeys", b"hvals", b"srandmember", b"spop", b"hrandfield", b"zrandmember", b"exec",
             b"geosearch", b"georadius", b"georadius_ro", b"georadiusbymember", b"georadiusbymember_ro"}

# What differs and shall, by name: a test of command and both replies.
KNOWN = {
    "the number of commands": lambda call, a, b: [word.lower() for word in call[:2]] == [b"command", b"count"],
    "the number of this connection": lambda call, a, b: call[0].lower() in (b"hello", b"exec") and b"version" in a
    and len(a) - len(b) in range(-2, 3),
    # Here a key is gone when its time comes; Redis looks through its keys ten times a second.
    "keys that are over": lambda call, a, b: call == [b"dbsize"] and int(a[1:]) > int(b[1:]),
    # Redis writes the count into the string as PFCOUNT reads it; here that is a read.
    "the count that a HyperLogLog remembers": lambda call, a, b: call[0].lower() == b"get" and b"HYLL" in a
    and unremembered(a) == unremembered(b),
    # Redis writes small collections compactly and compresses strings; `crossed` has each read the other's.
    "the encoding of a dump": lambda call, a, b: call[0].lower() == b"dump" and len(a) > 5 and len(b) > 5,
    "the moment from which it counts": lambda call, a, b: call[0].lower() in (b"expire", b"pexpire")
    and call[-1].lower() in (b"gt", b"lt") and {a, b} == {b":0\r\n", b":1\r\n"},
    # The C library's sines and ours.
    "the last bits of a distance": lambda call, a, b: call[0].lower() == b"zrange" and near(a, b),
    # Each server reads its own clock, and a batch takes a while.
    "the moment at which it ran": lambda call, a, b: call[0].lower() in (b"pexpiretime", b"expiretime", b"ttl", b"exec")
    and near(a, b),
}


def is_unordered(call):
    words = {word.lower() for word in call}
    return call[0].lower() in UNORDERED and not (call[0].lower().startswith(b"geo") and words & {b"asc", b"desc", b"count"})


def unremembered(reply):
    """The reply without the counts in the headers of HyperLogLogs."""
    return re.sub(rb"(HYLL[\x00\x01]...).{8}", rb"\1", reply, flags=re.DOTALL)


def near(a, b):
    """The same but for numbers that are times, a second apart at most."""
    ours, theirs = a.split(b"\r\n"), b.split(b"\r\n")
    return len(ours) == len(theirs) and all(
        x == y or is_close(x, y) or x[:1] == y[:1] == b":" and int(x[1:]) > 99 and abs(int(x[1:]) - int(y[1:])) <= 1000
        for x, y in zip(ours, theirs))


def is_close(x, y):
    """Distances that differ in the last bits."""
    try:
        if x[:1] == y[:1] == b"$":
            return True
        x, y = float(x.lstrip(b",")), float(y.lstrip(b","))
        return x != int(x) and abs(x - y) <= 1e-13 * abs(x)
    except (ValueError, OverflowError):
        return False


def encode(call):
    return b"*%d\r\n" % len(call) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in call)


class Server:
    def __init__(self, path, command):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if self.process.poll() is not None:
                    sys.exit(f"{command[0]} ended with {self.process.returncode}")
                time.sleep(0.02)
        self.stream = self.socket.makefile("rb", 1 << 16)

    def line(self):
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def reply(self):
        """One reply as its bytes, and as a tree."""
        line = self.line()
        kind = line[:1]
        if kind in b"$=" and line[1:2] != b"-":
            body = self.stream.read(int(line[1:]) + 2)
            return line + body, body
        if kind in b"*~>%|" and line[1:2] != b"-":
            count = int(line[1:]) * (2 if kind in b"%|" else 1)
            parts = [self.reply() for _ in range(count)]
            return line + b"".join(part[0] for part in parts), (line, [part[1] for part in parts])
        return line, line


def plain(tree):
    """The tree with the elements of each array in one order; pairs of a map aren't kept together."""
    if isinstance(tree, tuple):
        return tree[0], sorted((plain(part) for part in tree[1]), key=repr)
    return re.sub(rb"\A.*\n\x00.{8}\r\n\Z", b"a dump", unremembered(tree), flags=re.DOTALL)


def joined(tree):
    """What stands in the tree, in its order, without what `plain` takes away."""
    return b"".join(joined(part) for part in tree[1]) if isinstance(tree, tuple) else plain(tree)


def is_near_by_parts(tree, other):
    """Of a transaction's replies each is the same but for its order, or for times and last bits."""
    return isinstance(tree, tuple) and isinstance(other, tuple) and len(tree[1]) == len(other[1]) and all(
        plain(x) == plain(y) or near(joined(x), joined(y)) for x, y in zip(tree[1], other[1]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", required=True)
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("--commands", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--stop", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
    with tempfile.TemporaryDirectory(prefix="mesh-compare.") as folder:
        theirs, ours = f"{folder}/redis", f"{folder}/probe"
        servers = [
            Server(theirs, [options.redis, "--port", "0", "--unixsocket", theirs, "--save", "", "--dir", folder,
                            "--enable-debug-command", "yes"]),
            Server(ours, [options.probe, "--unix", ours, "--debug", "--record"])]
        try:
            sys.exit(run(options, seed, *servers))
        finally:
            for server in servers:
                server.process.kill()
                server.process.wait()


def ask(server, *call):
    server.socket.sendall(encode(call))
    return server.reply()


def crossed(redis, probe):
    """Has each server restore what the other dumps of every key, and answers how many aren't the same then."""
    wrong = 0
    for server in (redis, probe):
        ask(server, b"discard"), ask(server, b"hello", b"2"), ask(server, b"select", b"0")
    for key in ask(redis, b"keys", b"*")[1][1]:
        key = key[:-2]
        dumps = [ask(server, b"dump", key)[1][:-2] for server in (redis, probe)]
        # One has expired, remembers a count, or has distances whose last bits differ; or it is a stream, which isn't
        # dumped here.
        if b"$-1" in dumps or key.startswith((b"hll", b"geo3")) or b"can't be dumped" in dumps[1][:80]:
            continue
        for server, dump in zip((redis, probe), reversed(dumps)):
            # A digest tells whether there is a time to live.
            life = b"0" if ask(server, b"pttl", key)[0] == b":-1\r\n" else b"5000000"
            done = ask(server, b"restore", b"crossed", life, dump, b"REPLACE")[0]
            digests = ask(server, b"debug", b"digest-value", key, b"crossed")[1][1]
            if done != b"+OK\r\n" or digests[0] != digests[1]:
                wrong += 1
                print(f"the dump of {key!r} isn't restored to the same: {done!r} {dump[:200]!r}")
            ask(server, b"del", b"crossed")
    return wrong


def have_same_keys(redis, probe):
    """Whether the same keys are there once times that differ by a moment have come for both."""
    for server in (redis, probe):
        ask(server, b"discard")
    time.sleep(0.02)
    return plain(ask(redis, b"keys", b"*")[1]) == plain(ask(probe, b"keys", b"*")[1])


def run(options, seed, redis, probe):
    generator = Generator(seed)
    sent, differences, known, history, counted = 0, 0, {}, [], []
    begun = time.monotonic()
    while sent < options.commands and differences < options.stop:
        batch = [generator.call() for _ in range(options.batch)]
        data = b"".join(encode(call) for call in batch)
        for server in (redis, probe):
            server.socket.sendall(data)
        for call in batch:
            (theirs, tree), (ours, other) = redis.reply(), probe.reply()
            sent += 1
            history.append(call)
            if theirs == ours or is_unordered(call) and plain(tree) == plain(other):
                continue
            pair = (joined(tree), joined(other)) if call[0].lower() == b"exec" else (theirs, ours)
            names = [name for name, test in KNOWN.items() if test(call, *pair)]
            if not names and call[0].lower() == b"exec" and is_near_by_parts(tree, other):
                names = ["moments and last bits in a transaction"]
            if not names and call == [b"dbsize"]:
                counted.append((sent, theirs, ours))
                continue
            if names:
                known[names[0]] = known.get(names[0], 0) + 1
                continue
            differences += 1
            print(f"seed {seed}, command {sent}: {b' '.join(call)!r}\n  redis {theirs[:300]!r}\n  ours  {ours[:300]!r}")
            if isinstance(tree, tuple) and isinstance(other, tuple):
                parts = zip(tree[1], other[1])
                for index, (x, y) in [one for one in enumerate(parts) if plain(one[1][0]) != plain(one[1][1])][:3]:
                    print(f"    element {index}: {x!r:.300}, ours {y!r:.300}")
            for earlier in [one for one in history[-200:-1] if set(one[1:]) & set(call[1:])][-6:]:
                print(f"    before: {b' '.join(earlier)!r}")
        if counted and have_same_keys(redis, probe):
            known["a key whose time came between"] = known.get("a key whose time came between", 0) + len(counted)
            counted = []
        differences += len(counted)
        for command, theirs, ours in counted:
            print(f"seed {seed}, command {command}: DBSIZE\n  redis {theirs!r}\n  ours  {ours!r}, and other keys")
        history, counted = history[-1000:], []
        if sent % 20_000 < options.batch:
            differences += crossed(redis, probe)
            for server in (redis, probe):
                server.socket.sendall(encode([b"discard"]) + encode([b"hello", b"2"]) + encode([b"flushall"]) + encode([b"select", b"0"]))
            for server in (redis, probe):
                for _ in range(4):
                    server.reply()
    rate = sent / (time.monotonic() - begun)
    print(f"seed {seed}: {sent} commands at {rate:.0f}/s, {differences} unexplained differences; known: {known}")
    return 1 if differences else 0


main()
