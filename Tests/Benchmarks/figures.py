"""What is measured: each figure takes one sample of one path at a time, as a dictionary of numbers.

A figure that compares a path to itself (`idle`, `beside`) takes both samples right after one another.
"""

import json
import re
import subprocess
import time

from mesh import OURS, quoted
from paths import free_port, nginx_command
from processes import Failure, Machine, private_kilobytes, processor_seconds

IDLE_FLOWS = 4000
# Requests beside a bulk stream: few enough that two cores have time for them, alone and beside it.
BESIDE_CONNECTIONS = 8
BESIDE_RATE = 1000
MEMORY_FLOWS = 100
LAUNCHES = 4


class Bench:
    """The figures over one topology. `seconds` is the length of one sample."""

    def __init__(self, processes, topology, mesh, client, seconds):
        self.processes, self.topology, self.mesh = processes, topology, mesh
        self.client, self.seconds = client, seconds
        self.starts = {}

    def sample(self, path, work):
        """One sample, with what the machine did besides, and the proxies' processor time."""
        machine, proxies = Machine(), path.proxies()
        before = processor_seconds(proxies)
        found = work()
        found["cpu"] = processor_seconds(proxies) - before
        return found | machine.stop()

    # One bulk stream

    def iperf3(self, path, seconds):
        return path.at_client(
            "iperf3", "-c", path.host, "-p", path.bulk_port, "-t", seconds, "-J", "--connect-timeout", 5000)

    def bulk(self, path):
        def work():
            output = self.processes.run(self.iperf3(path, self.seconds), self.seconds + 20)
            received = json.loads(output)["end"]["sum_received"]
            return {"gbps": received["bits_per_second"] / 1e9, "gigabytes": received["bytes"] / 1e9}

        found = self.sample(path, work)
        if path.proxies() and found["gigabytes"] > 0:
            found["cpu_per_gb"] = found["cpu"] / found["gigabytes"]
            found["private_mb"] = sum(map(private_kilobytes, path.proxies())) / 1024
        return found

    # wrk

    def wrk(self, path, connections, seconds, close=False):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        command += ["-H", "Connection: close"] if close else []
        url = f"http://{path.host}:{path.web_port}/"
        output = self.processes.run(path.at_client(*command, url), seconds + 30)
        return wrk_numbers(output)

    def latency(self, path):
        """One connection; a second of warming up isn't counted."""
        self.wrk(path, 1, 1)
        return self.sample(path, lambda: self.wrk(path, 1, self.seconds))

    def requests(self, path):
        found = self.sample(path, lambda: self.wrk(path, 64, self.seconds))
        return found | {"cpu_us_per_request": found["cpu"] / max(1, found["requests"]) * 1e6}

    def connections4(self, path):
        return self.new_connections(path, 4)

    def connections16(self, path):
        return self.new_connections(path, 16)

    def new_connections(self, path, clients):
        """A connection for each request, which nginx closes after its answer."""
        found = self.sample(path, lambda: self.wrk(path, clients, self.seconds, close=True))
        return found | {"cpu_us_per_connection": found["cpu"] / max(1, found["requests"]) * 1e6}

    # A path beside itself

    def holding(self, path, flows):
        """A process that holds idle flows until it is ended."""
        command = path.at_client(self.client, "hold", path.host, path.web_port, flows)
        holder = self.processes.start(
            "hold", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = holder.stdout.readline().decode().strip()
        if said != "holding":
            self.processes.end(holder)
            raise Failure(f"{flows} flows can't be held on {path.name}: {said}")
        return holder

    def idle(self, path):
        alone = self.sample(path, lambda: self.wrk(path, 64, self.seconds))
        holder = self.holding(path, IDLE_FLOWS)
        try:
            beside = self.sample(path, lambda: self.wrk(path, 64, self.seconds))
        finally:
            self.processes.end(holder)
        # The closing of so many isn't part of what follows.
        time.sleep(0.5)
        return beside | {"alone": alone["rate"], "ratio": beside["rate"] / alone["rate"]}

    def small_requests(self, path):
        command = path.at_client(
            self.client, "rate", path.host, path.web_port, BESIDE_CONNECTIONS, BESIDE_RATE, self.seconds)
        return json.loads(self.processes.run(command, self.seconds + 20))

    def beside(self, path):
        """The same requests on the same timetable: alone, beside a bulk stream of the same two workloads,
        and beside one of another pair, which costs the processors the same but shares no session."""
        alone = self.sample(path, lambda: self.small_requests(path))
        found = self.beside_bulk(path, path)
        found |= {"alone_p50": alone["p50"], "alone_p99": alone["p99"], "ratio": found["p99"] / alone["p99"]}
        if path.name in OURS:
            elsewhere = self.beside_bulk(path, self.other_pair(path.name))["p99"]
            found |= {"elsewhere_p99": elsewhere, "ratio_elsewhere": found["p99"] / elsewhere}
        return found

    def beside_bulk(self, path, bulk_path):
        # It begins before the requests and outlasts them.
        bulk = self.processes.start(
            "iperf3-beside", self.iperf3(bulk_path, self.seconds + 30), stdout=subprocess.PIPE)
        try:
            time.sleep(0.5)
            return self.sample(path, lambda: self.small_requests(path))
        finally:
            self.processes.end(bulk)
            time.sleep(0.5)

    def other_pair(self, datapath):
        name = f"other-{datapath}"
        if name not in self.topology.paths:
            self.topology.raise_extra(name, lambda: self.mesh.pair(datapath, "other"))
        return self.topology.paths[name]

    # Memory, once a run

    def memory(self, path):
        """Samples of one ring: each sidecar, launcher with init, and userland stack, idle and with flows."""
        workloads, ring = self.mesh.ring(path.name)
        holders = []
        try:
            for way in ring:
                command = way.at_client(self.client, "first", way.host, way.web_port, 20)
                self.processes.run(command, 30)
            # What starting needed is given back a second after it.
            time.sleep(3)
            idle = [memory_of(workload) for workload in workloads]
            # Each has one half of its flows to the next workload, the other from the one before.
            holders = [self.holding(way, MEMORY_FLOWS // 2) for way in ring]
            time.sleep(3)
            busy = [memory_of(workload) for workload in workloads]
        finally:
            self.processes.end(*holders)
            self.processes.end(*(workload.launcher for workload in workloads))
        return [
            {"idle": one, "flows": many} for one, many in zip(idle, busy)
        ]

    # Launch to first byte

    def start(self, path):
        """Several launches one after the other. On the host it is nginx alone; on the mesh a workload, whose
        first byte is seen by another workload. The asking begins before the launch."""
        if path.name not in self.starts:
            self.starts[path.name] = self.prepare_start(path)
            # One uncounted: from then on the compiled configuration is cached, and the files are in memory.
            self.one_start(path)
        return [self.one_start(path) for _ in range(LAUNCHES)]

    def one_start(self, path):
        launch, ask = self.starts[path.name]
        asking = self.processes.start("first", ask, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        launched = None
        try:
            if asking.stdout.readline() != b"waiting\n":
                raise Failure("the client that waits for the first byte didn't start")
            time.sleep(0.1)
            began = time.monotonic_ns()
            launched = launch()
            answer = asking.stdout.readline().decode().strip()
            if not answer.isdigit():
                raise Failure(f"no first byte on {path.name}: {answer}")
            return {"ms": (int(answer) - began) / 1e6}
        finally:
            self.processes.end(asking)
            if launched:
                self.processes.end(launched)

    def prepare_start(self, path):
        """How to launch, and how to ask, on this path."""
        name, folder = f"start-{path.name}", self.mesh.folder
        if path.name not in OURS:
            port = free_port()
            nginx = nginx_command(folder, f"127.0.0.1:{port}", name)
            ask = [self.client, "first", "127.0.0.1", str(port), "20"]
            return lambda: self.processes.start(name, nginx), ask
        asker = f"asker-{path.name}"
        file = self.mesh.configuration(
            name, path.name, nginx_command(folder, 8080, name), serves=[8080], accepts=[asker])
        asker_file = self.mesh.configuration(
            asker, path.name, ["sleep", "infinity"], calls=[quoted(f"{name}:8080")])
        enter = self.mesh.enter(self.mesh.running(asker_file))
        ask = [*enter, self.client, "first", f"{name}.mesh", "8080", "20"]
        return lambda: self.mesh.launch(file).launcher, ask


def wrk_numbers(output):
    def found(pattern):
        match = re.search(pattern, output)
        if not match:
            raise Failure(f"wrk said: {output.strip()[-300:]}")
        return match.group(1)

    errors = re.search(r"Socket errors: (.*)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    problems = [match.group(0) for match in (errors, refused) if match]
    return {
        "requests": int(found(r"(\d+) requests in")),
        "rate": float(found(r"Requests/sec:\s+([\d.]+)")),
        "p50": microseconds(found(r"\n\s+50%\s+(\S+)")),
        "p99": microseconds(found(r"\n\s+99%\s+(\S+)")),
    } | ({"problems": "; ".join(problems)} if problems else {})


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]


def memory_of(workload):
    """Private memory of one instance's processes, in MB (2^20 bytes)."""
    def total(processes):
        return sum(map(private_kilobytes, processes)) / 1024

    return {
        "sidecar": total(workload.sidecars),
        "stack": total(workload.stacks),
        "launcher": total([workload.launcher.pid]),
        "init": total([workload.init]),
    }
