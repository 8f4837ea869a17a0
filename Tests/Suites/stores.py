"""Where a suite finds its server: the state of a workload, or a redis-server to compare with."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from cache import HERE, ROOT, Missing


class Server:
    """One server, and the words before a program that is to reach it."""

    def __init__(self, prefix, host, port, folder, environment):
        self.prefix, self.host, self.port, self.folder = prefix, host, port, folder
        self.environment = environment

    def run(self, command, seconds, cwd=None, **extra):
        """Runs a program beside its server, SECONDS at most: its output, and its code, or None where it took longer."""
        environment = self.environment | {"MESH_SUITE_STORE": f"{self.host}:{self.port}"} | extra
        with open(f"{self.folder}/output", "wb") as output:
            process = subprocess.Popen(
                [*self.prefix, *command], cwd=cwd or self.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end(process)
        with open(f"{self.folder}/output", errors="replace") as output:
            return output.read(), code


class Mesh:
    """A mesh of its own: folders, a node, and for each suite a workload with a state."""

    def __init__(self):
        bin = os.path.abspath(os.environ.get("MESH_TEST_BIN") or os.environ.get("MESH_BIN") or f"{ROOT}/.build/debug")
        self.launcher = f"{bin}/mesh-launch"
        if not os.path.exists(self.launcher):
            raise SystemExit(f"error: there is no {self.launcher}; build it, or name its folder in MESH_BIN")
        # Short, since it begins the paths of sockets.
        self.folder = tempfile.mkdtemp(prefix="ms.", dir="/tmp")
        self.bin = bin
        self.environment = clean_environment(self.folder) | {
            "PATH": f"{bin}:{os.environ['PATH']}", "MESH_RUNTIME_DIR": f"{self.folder}/run",
            "MESH_STATE_DIR": f"{self.folder}/state", "MESH_CONFIG_DIR": f"{self.folder}/config"}

    @contextlib.contextmanager
    def serve(self, suite, datapath):
        place = f"{self.folder}/{suite.name}"
        os.mkdir(place)
        prefix = [self.launcher, "--name", suite.name, "--consistency", "eventual",
                  "--datapath", datapath or suite.datapath, "--"]
        yield Server(prefix, "state.mesh", 6379, place, self.environment)

    def close(self):
        # It would end by itself ten seconds later.
        subprocess.run([f"{self.bin}/mesh", "node", "stop"], env=self.environment, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis:
    """A redis-server for each suite, on a port of loopback."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ms.", dir="/tmp")

    @contextlib.contextmanager
    def serve(self, suite, datapath):
        place = f"{self.folder}/{suite.name}"
        os.mkdir(place)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", place,
             "--enable-debug-command", "yes"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.02)
            else:
                raise Missing("redis-server doesn't answer")
            yield Server([], "127.0.0.1", port, place, clean_environment(self.folder) | {"PATH": os.environ["PATH"]})
        finally:
            end(process)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def clean_environment(folder):
    """Nothing of the tester's own, and no colours."""
    return {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{HERE}/settings"}


def end(process):
    """Ends a program and all that it left in its session."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
