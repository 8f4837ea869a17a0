"""What the suites need and the machine lacks: clients, suites' sources, a Tcl shell; kept outside the tree."""

import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Debian's own, of the package debian-archive-keyring.
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
ROOT = os.path.dirname(os.path.dirname(HERE))


class Missing(Exception):
    """What can't be had on this machine, and why."""


class Cache:
    def __init__(self):
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.folder = os.environ.get("MESH_SUITES_CACHE") or f"{base}/mesh-suites"
        os.makedirs(self.folder, exist_ok=True)
        # One run at a time: the next finds what this one installs.
        self.lock = open(f"{self.folder}/lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.packages_tried = False

    def program(self, name):
        """The path of a program of Debian's, which is installed where it is missing and may be installed."""
        path = shutil.which(name)
        if path is None and not self.packages_tried:
            self.packages_tried = True
            call([f"{ROOT}/Scripts/dependencies", "suites"], "the packages", 600)
            path = shutil.which(name)
        if path is None:
            raise Missing(f"there is no {name}")
        return path

    def python(self):
        """An interpreter that has all of requirements.txt."""
        path = f"{self.folder}/python/bin/python"
        mark = f"{self.folder}/python/requirements.txt"
        with open(f"{HERE}/requirements.txt") as file:
            wanted = file.read() + f"# {sys.version}\n"
        if os.path.exists(mark):
            with open(mark) as file:
                if file.read() == wanted:
                    return path
        shutil.rmtree(f"{self.folder}/python", ignore_errors=True)
        call([sys.executable, "-m", "venv", f"{self.folder}/python"], "a Python environment", 120)
        call([path, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
              "-r", f"{HERE}/requirements.txt"], "the Python packages", 600)
        with open(mark, "w") as file:
            file.write(wanted)
        return path

    def python_source(self, name):
        """The folder with the source distribution of a package of requirements.txt, tests and all."""
        with open(f"{HERE}/requirements.txt") as file:
            version = re.search(rf"^{name}==(\S+)$", file.read(), re.M)[1]
        path = f"{self.folder}/{name}-{version}"
        if not os.path.isdir(path):
            call([self.python(), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                  "--no-binary", ":all:", "--dest", self.folder, f"{name}=={version}"], f"{name}'s source", 600)
            self.unpack(f"{path}.tar.gz")
        return path

    def redis_source(self):
        """The folder with the sources of Debian's redis, by the very mirrors that this machine's packages are from."""
        found = glob.glob(f"{self.folder}/redis-[0-9]*[0-9]/runtest")
        if found:
            return os.path.dirname(found[0])
        place = f"{self.folder}/packages"
        for part in ("lists/partial", "cache/archives/partial"):
            os.makedirs(f"{place}/{part}", exist_ok=True)
        targets = call(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)",
                        "Created-By: Packages", "Origin: Debian"], "the package sources", 60)
        key = f"[signed-by={KEYS}] " if os.path.exists(KEYS) else ""
        with open(f"{place}/sources.list", "w") as file:
            file.writelines(f"deb-src {key}{target}\n" for target in sorted(set(targets.splitlines())))
        options = [f"-oDir::Etc::sourcelist={place}/sources.list", "-oDir::Etc::sourceparts=-",
                   f"-oDir::State::lists={place}/lists", f"-oDir::Cache={place}/cache", "-oAcquire::Languages=none",
                   # Who downloads is who asks: a folder in a home may be closed to others.
                   "-oAPT::Sandbox::User="]
        call(["apt-get", "-q", *options, "update"], "the lists of source packages", 300)
        call(["apt-get", "-q", *options, "source", "--download-only", "redis"], "redis's source", 300, cwd=place)
        self.unpack(sorted(glob.glob(f"{place}/redis_*.orig.tar.*"))[-1])
        return self.redis_source()

    def unpack(self, archive):
        """All of it or nothing, beside the others."""
        place = f"{self.folder}/unpacked"
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        call(["tar", "-x", "--no-same-owner", "-f", archive, "-C", place], f"unpacking {archive}", 120)
        for name in os.listdir(place):
            os.rename(f"{place}/{name}", f"{self.folder}/{name}")
        os.unlink(archive)


def call(command, what, seconds, **options):
    """Runs a program that fetches something, and returns its output."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              text=True, timeout=seconds, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from None
    if done.returncode != 0:
        raise Missing(f"{what}: {' '.join(command[:4])} … exits with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
