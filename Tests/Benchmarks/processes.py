"""Processes of one measurement: started, counted by /proc, and ended again, each by its own number."""

import ctypes
import os
import resource
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What couldn't be had, said for whoever runs the benchmark."""


def _in_child():
    # Even a harness that is killed leaves nothing behind.
    _libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)


class Processes:
    """All that the harness starts. Each is in a session of its own, so that Ctrl-C reaches the harness alone,
    which then ends them in the reverse order."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 1 << 17 if hard == resource.RLIM_INFINITY else min(hard, 1 << 17)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))

    def start(self, name, command, **options):
        """Starts a process that stays; its output goes to NAME.log."""
        log = None
        if "stdout" not in options:
            log = open(self.log(name), "ab")
            options |= {"stdout": log, "stderr": log}
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, start_new_session=True, preexec_fn=_in_child, **options)
        if log:
            log.close()
        process.name = name
        self.running.append(process)
        return process

    def run(self, command, seconds, **options):
        """Runs a program to its end, SECONDS at most, and returns what it printed."""
        process = self.start(
            command[0], command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(command)}: no end after {seconds} s") from None
        finally:
            self.end(process)
        if process.returncode != 0:
            raise Failure(f"{' '.join(command)}: code {process.returncode}: {output.strip()[-400:]}")
        return output

    def end(self, *processes, patience=5):
        """Asks for an end by SIGTERM, all at once, and takes it by SIGKILL."""
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + patience
        for process in processes:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
            if process in self.running:
                self.running.remove(process)

    def end_all(self):
        for process in list(reversed(self.running)):
            self.end(process)

    def log(self, name):
        return f"{self.folder}/{name.replace('/', '-')}.log"

    def log_tail(self, name):
        try:
            with open(self.log(name), errors="replace") as log:
                return log.read()[-600:].strip()
        except OSError:
            return ""


def until(what, seconds, condition, process=None):
    """Polls until the condition yields something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise Failure(f"{process.name} ended with code {process.returncode} before {what}")
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not after {seconds} s")
        time.sleep(0.02)


# What /proc says. Processes that are gone count nothing.


def _stat(process):
    """The fields of /proc/PID/stat from the third on, and the command's name."""
    try:
        with open(f"/proc/{process}/stat") as file:
            text = file.read()
    except OSError:
        return None, None
    name = text[text.index("(") + 1:text.rindex(")")]
    return name, text[text.rindex(")") + 2:].split()


def processor_seconds(processes):
    """User and system time of live processes, in seconds."""
    total = 0
    for process in processes:
        _, fields = _stat(process)
        if fields:
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def family(root):
    """Every living descendant of a process: number → (parent, command's name, ticks, ended children's
    ticks included)."""
    everybody = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            name, fields = _stat(entry)
            if fields:
                everybody[int(entry)] = (int(fields[1]), name, sum(map(int, fields[11:15])))
    children = {}
    for process, (parent, _, _) in everybody.items():
        children.setdefault(parent, []).append(process)
    found, queue = {}, [root]
    while queue:
        process = queue.pop()
        if process in everybody:
            found[process] = everybody[process]
        queue += children.get(process, [])
    return found


def private_kilobytes(process):
    """Memory that no other process shares: the three Private_ lines of smaps_rollup."""
    with open(f"/proc/{process}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


def command_line(process):
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return []


class Machine:
    """What the machine did besides, between making this and `stop`: shares of all processors' time."""

    def __init__(self):
        self.began = time.monotonic()
        self.busy, self.stolen = self._read()
        self.own = self._own()

    def stop(self):
        available = (time.monotonic() - self.began) * os.cpu_count()
        busy, stolen = self._read()
        own = self._own() - self.own
        return {
            "foreign": round(max(0, busy - self.busy - own) / available, 3),
            "stolen": round((stolen - self.stolen) / available, 3),
        }

    def _read(self):
        with open("/proc/stat") as file:
            fields = list(map(int, file.readline().split()[1:9]))
        return (sum(fields[:3]) + sum(fields[5:7])) / TICKS, fields[7] / TICKS

    def _own(self):
        return sum(ticks for _, _, ticks in family(os.getpid()).values()) / TICKS
