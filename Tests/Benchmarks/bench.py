"""What the figures of cuts and identities share: a mesh of one's own, its `mesh` command, and programs with many
flows (flows.c)."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mesh import Mesh
from processes import Failure, Machine, Processes, until

here = os.path.dirname(os.path.realpath(__file__))
PORT = 7000


def boottime():
    """Nanoseconds of the clock that sidecars measure by."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def own_mesh(name, keep=False, environment=None):
    """A mesh with folders of its own, which ends with the block: also by Ctrl-C, and by an error, which is said."""
    if os.geteuid() != 0:
        sys.exit("error: networks of workloads are entered here: run it as root")
    executables = os.path.abspath(os.environ.get("MESH_BIN", f"{here}/../../.build/release"))
    if not os.access(f"{executables}/mesh-launch", os.X_OK):
        sys.exit(f"error: there is no mesh-launch in {executables}; run: make build")
    folder = tempfile.mkdtemp(prefix=f"mesh-{name}.", dir="/tmp")
    os.chmod(folder, 0o711)
    processes = Processes(folder)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    bench = Bench(processes, folder, executables, environment or {})
    try:
        yield bench
    except Failure as problem:
        sys.exit(f"error: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.end_all()
        bench.mesh.stop_node()
        if keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


class Bench:
    def __init__(self, processes, folder, executables, environment):
        self.processes, self.folder = processes, folder
        self.mesh = Mesh(processes, folder, executables)
        self.mesh.environment |= environment
        self.machine = Machine()
        self.flows = f"{folder}/flows"
        processes.run(["cc", "-O2", "-o", self.flows, f"{here}/flows.c"], 60)

    # Workloads

    def server(self, name="server", datapath="veth", accepts="*", calls=()):
        """A workload that echoes on PORT."""
        report = f"{self.folder}/{name}.report"
        file = self.mesh.configuration(
            name, datapath, [self.flows, "serve", str(PORT), report], calls=calls, serves=(PORT,),
            accepts=[f'"{accepts}"'])
        return Flows(self, self.mesh.running(file), report)

    def caller(self, name, count, rate, datapath="veth", server="server", seconds=60):
        """A workload with so many flows to a server, once all are open; at once, with no seconds to wait."""
        report = f"{self.folder}/{name}.report"
        command = [self.flows, "hold", f"{server}.mesh", str(PORT), str(count), str(rate), report]
        workload = self.mesh.launch(self.mesh.configuration(name, datapath, command, calls=[server]))
        caller = Flows(self, workload, report)
        if seconds:
            caller.wait_open(seconds)
        return caller

    # The operator

    def order(self, *words, codes=(0,), json_answer=True, seconds=60):
        """A `mesh` command, and its answer."""
        command = [self.mesh.command_program, *words] + (["--json"] if json_answer else [])
        done = subprocess.run(
            command, env=self.mesh.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds)
        if done.returncode not in codes:
            raise Failure(f"mesh {' '.join(words)}: code {done.returncode}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout) if json_answer and done.stdout.strip() else done.stdout

    def write_policy(self, text):
        path = f"{self.folder}/policy.yaml"
        with open(path, "w") as out:
            out.write("mesh-policy: 1\n" + text)
        return path

    def policy_change(self, workload, epoch):
        """What a sidecar says of the newest policy that it took over, once it is of this epoch."""
        return until(
            f"epoch {epoch} at {workload.launcher.name}", 20,
            lambda: self._change(workload, epoch), workload.launcher)

    def _change(self, workload, epoch):
        for one in self.order("status")["instances"]:
            change = one.get("policy", {}).get("change") or {}
            if one.get("launcher_pid") == workload.launcher.pid and change.get("epoch", -1) >= epoch:
                return change
        return None


class Flows:
    """A workload of many flows, and what its program knows of them."""

    def __init__(self, bench, workload, report):
        self.bench, self.workload, self.path = bench, workload, report
        self.times_opened = 0

    def report(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.kill(self.workload.program, signal.SIGUSR1)
        until(f"a report of {self.workload.launcher.name}", 20, lambda: os.path.exists(self.path),
              self.workload.launcher)
        with open(self.path) as file:
            return [Flow(*line.split()) for line in file]

    def wait_open(self, seconds=60):
        """Until the program says, once more, that all of its flows are open."""
        self.times_opened += 1
        name = self.workload.launcher.name
        try:
            until(f"flows of {name}", seconds, lambda: self._openings() >= self.times_opened,
                  self.workload.launcher)
        except Failure as problem:
            raise Failure(f"{problem}: {self.bench.processes.log_tail(name)}") from None

    def _openings(self):
        with open(self.bench.processes.log(self.workload.launcher.name)) as log:
            return log.read().split("\n").count("open")

    def renew(self):
        """Has flows that ended forgotten, and opened anew by a caller."""
        os.kill(self.workload.program, signal.SIGUSR2)

    def end(self):
        self.bench.processes.end(self.workload.launcher, patience=20)


class Flow:
    def __init__(self, port, last, end, how, sent, received, wrong, slowest):
        self.port, self.how = int(port), how
        # Of CLOCK_BOOTTIME, in ns.
        self.last, self.end = int(last), int(end)
        self.sent, self.received, self.wrong, self.slowest_us = map(int, (sent, received, wrong, slowest))
