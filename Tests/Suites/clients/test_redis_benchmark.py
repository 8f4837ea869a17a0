"""redis-benchmark with all of its default tests: each ends with a rate, and nobody says anything of an error."""

import os
import re
import subprocess

import pytest

HOST, PORT = os.environ["MESH_SUITE_STORE"].rsplit(":", 1)
TESTS = [
    "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP",
    "ZADD", "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)", "LRANGE_100 (first 100 elements)",
    "LRANGE_300 (first 300 elements)", "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)",
    "MSET (10 keys)",
]
WAYS = {"plain": [], "pipelined": ["-P", "16", "-r", "1000"], "RESP3": ["-3"]}


@pytest.fixture(scope="module", params=WAYS)
def said(request):
    done = subprocess.run(["redis-benchmark", "-h", HOST, "-p", PORT, "-q", "-n", "2000", *WAYS[request.param]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout.replace("\r", "\n")


@pytest.mark.parametrize("test", TESTS)
def test_ends_with_a_rate(said, test):
    rates = re.findall(rf"^ *{re.escape(test)}: ([0-9.]+) requests per second", said, re.M)
    assert len(rates) == 1 and float(rates[0]) > 0, said[-2000:]


def test_nothing_fails(said):
    assert not re.search(r"error|warning|could not", said, re.I), said[-2000:]
    assert len(re.findall(r"requests per second", said)) == len(TESTS)
