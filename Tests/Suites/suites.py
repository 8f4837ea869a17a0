"""The suites: what each runs, and how its output is read."""

import os
import re
import shutil
import xml.etree.ElementTree

from cache import HERE


class Result:
    """The names of tests by how they ended; of those that failed with what was said."""

    def __init__(self, output=""):
        self.passed, self.failed, self.skipped, self.output = [], {}, [], output

    def line(self, name):
        names = ", ".join(self.failed)
        return (f"{name}: passed {len(self.passed)}, failed {len(self.failed)}"
                f"{f' ({names})' if names else ''}, skipped {len(self.skipped)}")


class Pytest:
    """Anything that pytest runs."""

    def __init__(self, name, where, tests, brief=None, datapath="veth", programs=(), limit=900):
        self.name, self.where, self.tests, self.brief = name, where, tests, brief or tests
        self.datapath, self.programs, self.limit = datapath, programs, limit

    def run(self, cache, server, long):
        for program in self.programs:
            cache.program(program)
        folder = cache.python_source(self.where) if self.where else HERE
        report = f"{server.folder}/report.xml"
        python = cache.python()
        output, code = server.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=60", "--tb=short",
             f"--junitxml={report}", f"--basetemp={server.folder}/files", f"--rootdir={folder}",
             *(self.tests if long else self.brief)],
            self.limit, cwd=folder, PATH=f"{os.path.dirname(python)}:{server.environment['PATH']}")
        result = Result(output)
        if not os.path.exists(report):
            result.failed["the run"] = f"no end after {self.limit} s" if code is None else output.strip()[-500:]
            return result
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            self.count(case, result)
        return result

    def count(self, case, result):
        place = re.sub(r"^(Tests\.Suites\.|clients\.|tests\.|huey\.tests\.)+", "", case.get("classname"))
        name = f"{place}::{case.get('name')}"
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        if problem is not None:
            result.failed[name] = (problem.get("message") or "").split("\n")[0][:200]
        elif case.find("skipped") is not None:
            result.skipped.append(name)
        else:
            result.passed.append(name)


class RedisTcl:
    """Redis's own suite against an external server, a unit at a time: one that hangs doesn't hide the others."""

    name, datapath = "redis-tcl", "veth"
    BRIEF = ["unit/type/incr", "unit/type/hash", "unit/quit", "unit/info-command"]
    UNITS = [
        "unit/type/string", "unit/type/incr", "unit/type/list", "unit/type/list-2", "unit/type/list-3",
        "unit/type/set", "unit/type/zset", "unit/type/hash", "unit/expire", "unit/multi", "unit/scan", "unit/pubsub",
        "unit/scripting", "unit/keyspace", "unit/quit", "unit/info", "unit/info-command",
"unit/introspection", "unit/introspection-2", "unit/other",
    ]
    # Not unit/auth, which skips itself at an external server, nor unit/protocol, which waits for ever at one, be it
    # redis-server.
    # What a server of another kind can't have, in the suite's own words.
    TAGS = "-needs:repl -needs:debug -needs:save -needs:config-maxmemory -needs:latency -needs:local-process"

    # Where FUNCTION LOAD isn't there it leaves the connection to the server in a state that no later test survives.
    # Tests/SidecarTests/Scripts has what it tests.
    SKIPPED = "Script return recursive object"

    def run(self, cache, server, long):
        cache.program("tclsh8.6")
        source = cache.redis_source()
        place = f"{server.folder}/redis"
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("deps", "src", "modules"))
        os.mkdir(f"{place}/src")
        for program in ("redis-cli", "redis-benchmark"):
            os.symlink(cache.program(program), f"{place}/src/{program}")
        result = Result()
        for unit in self.UNITS if long else self.BRIEF:
            output, code = server.run(
                ["./runtest", "--host", server.host, "--port", str(server.port), "--durable", "--single", unit,
                 "--tags", self.TAGS, "--skiptest", self.SKIPPED], 120, cwd=place)
            result.output += f"== {unit}\n{output}"
            self.read(unit, output, code, result)
        return result

    def read(self, unit, output, code, result):
        """One line a test: `[ok]: name (2 ms)`, `[err]: name in tests/unit/x.tcl`, and what was said in the next."""
        lines = output.split("\n")
        for number, line in enumerate(lines):
            kind, _, rest = line.partition("]: ")
            name = f"{unit}: " + re.sub(r" in tests/\S+$| \(\d+ ms\)$", "", rest)
            if kind == "[ok":
                result.passed.append(name)
            elif kind in ("[skip", "[ignore"):
                result.skipped.append(name)
            elif kind == "[err":
                said = " ".join(lines[number + 1:number + 3])
                result.failed[name] = said[:200]
            elif kind == "[exception":
                result.failed[f"{unit}: the unit ends early"] = rest[:200]
        if code is None:
            last = name_of_last(lines)
            result.failed[f"{unit}: the unit hangs"] = f"no end after 120 s; the last to end was: {last}"


def name_of_last(lines):
    ended = [line for line in lines if line.startswith("[")]
    return ended[-1] if ended else "none"


SUITES = [
    Pytest("redis-cli", None, ["clients/test_redis_cli.py"], programs=("redis-cli",)),
    Pytest("redis-benchmark", None, ["clients/test_redis_benchmark.py"], programs=("redis-benchmark",)),
    Pytest("redis-py", None, ["clients/test_redis_py.py"], datapath="slirp"),
    Pytest("huey", "huey", ["huey/tests"], brief=["huey/tests", "-k", "redis or Redis or helpers or lock"]),
    Pytest("rq", "rq", ["tests"], brief=["tests/test_queue.py", "tests/test_job.py", "tests/test_results.py"]),
    RedisTcl(),
]
