"""Our own paths: pairs of workloads, each behind its own sidecar, on one datapath."""

import os
import subprocess

from paths import Path, Topology, nginx_command
from processes import Failure, command_line, family, until

MEMORY_RING = 5


class Workload:
    """A running mesh-launch, and its processes by what they are."""

    def __init__(self, launcher):
        self.launcher = launcher

    def _children(self, parent, name):
        everybody = family(parent)
        return [
            process for process, (its_parent, its_name, _) in everybody.items()
            if its_parent == parent and its_name == name
        ]

    @property
    def init(self):
        """The one child of the launcher that is called as it is, and has a process number 1 inside."""
        for process in self._children(self.launcher.pid, "mesh-launch"):
            try:
                with open(f"/proc/{process}/status") as file:
                    inner = next(line for line in file if line.startswith("NSpid:")).split()
            except (OSError, StopIteration):
                continue
            if inner[-1] == "1" and len(inner) > 2:
                return process
        return None

    @property
    def program(self):
        """The workload's own process, once it is what it was launched to be."""
        init = self.init
        for process, (parent, name, _) in (family(init) if init else {}).items():
            if parent == init and name != "mesh-launch":
                return process
        return None

    @property
    def sidecars(self):
        """The sidecar, without its userland stack."""
        return [process for process in self._mesh_sidecars() if not self._is_stack(process)]

    @property
    def stacks(self):
        return [process for process in self._mesh_sidecars() if self._is_stack(process)]

    def _mesh_sidecars(self):
        # By the program's file name: threads and the userland stack give themselves other names.
        found = []
        for process in family(self.launcher.pid):
            arguments = command_line(process)
            if arguments and os.path.basename(arguments[0]) == "mesh-sidecar":
                found.append(process)
        return found

    def _is_stack(self, process):
        return "userland-stack" in command_line(process)


class Mesh:
    """mesh-launch of one build, with folders of its own."""

    def __init__(self, processes, folder, executables):
        self.processes, self.folder = processes, folder
        self.launch_program = f"{executables}/mesh-launch"
        self.command_program = f"{executables}/mesh"
        self.environment = os.environ | {
            "PATH": f"{executables}:{os.environ['PATH']}",
            "MESH_RUNTIME_DIR": f"{folder}/run",
            "MESH_STATE_DIR": f"{folder}/state",
            "MESH_CONFIG_DIR": f"{folder}/config",
        }

    def configuration(self, name, datapath, command, calls=(), serves=(), accepts=()):
        """Writes a workload's config file, and returns its path."""
        file = f"{self.folder}/{name}.yaml"

        def text(values):
            return "[" + ", ".join(values) + "]"

        with open(file, "w") as out:
            out.write(
                f"mesh: 1\nworkload: {name}\ndatapath: {datapath}\n"
                f"command: {text(quoted(word) for word in command)}\n"
                f"calls: {text(calls)}\n"
                f"serves: {text(f'{{port: {port}, protocol: tcp}}' for port in serves)}\n"
                f"accepts: {text(f'{{from: {caller}}}' for caller in accepts)}\n")
        return file

    def launch(self, file, **options):
        """Starts a workload, and doesn't wait for it."""
        name = os.path.basename(file).removesuffix(".yaml")
        command = [self.launch_program, "--config", file]
        return Workload(self.processes.start(name, command, env=self.environment, **options))

    def running(self, file):
        """Starts a workload, and waits until its program runs."""
        workload = self.launch(file)
        try:
            until(f"{workload.launcher.name}'s program runs", 20, lambda: workload.program, workload.launcher)
        except Failure as problem:
            said = self.processes.log_tail(workload.launcher.name)
            raise Failure(f"{problem}: {said}" if said else str(problem)) from None
        return workload

    def stop_node(self):
        """Ends mesh-node, which would otherwise wait for its next sidecar for a while."""
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.run(
                [self.command_program, "node", "stop"], env=self.environment, start_new_session=True,
                timeout=20, **silent)
        except (OSError, subprocess.TimeoutExpired):
            pass  # It ends by itself ten seconds after its last sidecar.

    # Paths

    def pair(self, datapath, role):
        """A client and a server that it may call: workloads `ROLE-client-DATAPATH` and so on."""
        client, server = f"{role}-client-{datapath}", f"{role}-server-{datapath}"
        nginx = " ".join(nginx_command(self.folder, 8080, server))
        servers = ["sh", "-c", f"iperf3 -s -p 5201 >/dev/null & exec {nginx}"]
        server_file = self.configuration(
            server, datapath, servers, serves=(5201, 8080), accepts=[client])
        client_file = self.configuration(client, datapath, ["sleep", "infinity"], calls=[server])
        ends = self.running(server_file), self.running(client_file)
        return Path(
            datapath, self.enter(ends[1]), f"{server}.mesh", 5201, 8080,
            lambda: [process for end in ends for process in end.sidecars + end.stacks], ends=ends)

    def enter(self, workload):
        """Root's way into the network of a workload, with its name service: what runs there so differs from
        the workload in nothing that bytes pass through, and disturbs no sidecar by being started."""
        return ["nsenter", "-n", "-m", "-t", str(workload.program)]

    # A ring for memory

    def ring(self, datapath):
        """Five workloads, each nginx and the client of the next: every sidecar has flows both ways."""
        workloads = []
        names = [f"ring{index}-{datapath}" for index in range(MEMORY_RING)]
        for index, name in enumerate(names):
            after, before = names[(index + 1) % MEMORY_RING], names[index - 1]
            file = self.configuration(
                name, datapath, nginx_command(self.folder, 8080, name), calls=[after], serves=[8080],
                accepts=[before])
            workloads.append(self.running(file))
        paths = [
            Path(datapath, self.enter(workload), f"{names[(index + 1) % MEMORY_RING]}.mesh", None, 8080)
            for index, workload in enumerate(workloads)
        ]
        return workloads, paths


def quoted(word):
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def veth(topology):
    return topology.mesh.pair("veth", "bench")


def slirp(topology):
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Failure("/dev/net/tun can't be opened: Scripts/set-up bench")
    return topology.mesh.pair("slirp", "bench")


for maker in (veth, slirp):
    Topology.makers[maker.__name__] = maker
OURS = ("veth", "slirp")
