"""redis-cli, in the ways that people use it."""

import json
import os
import subprocess

import pytest

HOST, PORT = os.environ["MESH_SUITE_STORE"].rsplit(":", 1)


def cli(*words, **options):
    done = subprocess.run(["redis-cli", "-h", HOST, "-p", PORT, *words], capture_output=True, text=True, timeout=30,
                          **options)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(autouse=True)
def empty():
    cli("flushall")


def test_one_command():
    assert cli("set", "a", "1") == "OK\n"
    assert cli("get", "a") == "1\n"
    assert cli("nonsense").startswith("ERR unknown command")


def test_commands_from_a_file():
    assert cli(input="set a 1\nincr a\nlrange a 0 -1\nget b\n").split("\n") == [
        "OK", "2", "WRONGTYPE Operation against a key holding the wrong kind of value", "", "", ""]


def test_a_transaction():
    assert cli(input="multi\nset a 1\nincr a\nexec\n").split() == ["OK", "QUEUED", "QUEUED", "OK", "2"]


def test_the_last_argument_from_a_file():
    assert cli("-x", "set", "a", input="from standard input") == "OK\n"
    assert cli("get", "a") == "from standard input\n"


def test_another_database():
    cli("-n", "3", "set", "a", "three")
    assert cli("-n", "3", "get", "a") == "three\n"
    assert cli("get", "a") == "\n"


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_json(protocol):
    cli("hset", "h", "f", "v", "g", "w")
    found = json.loads(cli(protocol, "--json", "hgetall", "h"))
    assert found == ({"f": "v", "g": "w"} if protocol == "-3" else ["f", "v", "g", "w"])


def test_csv_and_raw():
    cli("rpush", "l", "a", "b")
    assert cli("--csv", "lrange", "l", "0", "-1") == '"a","b"\n'
    assert cli("--no-raw", "lrange", "l", "0", "-1") == '1) "a"\n2) "b"\n'
    assert cli("-d", "; ", "lrange", "l", "0", "-1") == "a; b\n"


def test_repeats():
    assert cli("-r", "3", "-i", "0.01", "incr", "n").split() == ["1", "2", "3"]


def test_scan():
    cli("mset", *[word for number in range(500) for word in (f"key:{number}", "x")])
    assert len(cli("--scan").split()) == 500
    assert len(cli("--scan", "--pattern", "key:1?").split()) == 10


@pytest.mark.parametrize("option", ["--bigkeys", "--memkeys"])
def test_keys_by_size(option):
    cli("set", "small", "x")
    cli("set", "large", "x" * 10_000)
    cli("rpush", "list", *map(str, range(100)))
    said = cli(option)
    assert "Sampled 3 keys in the keyspace" in said
    assert 'Biggest string found "large"' in said.replace("'", '"') or '"large"' in said


def test_bulk_load():
    calls = "".join(f"*3\r\n$3\r\nSET\r\n${len(str(n))}\r\n{n}\r\n$1\r\nx\r\n" for n in range(20_000))
    assert "errors: 0, replies: 20000" in cli("--pipe", input=calls)
    assert cli("dbsize") == "20000\n"


def test_a_script_file(tmp_path):
    path = tmp_path / "script.lua"
    path.write_text("redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])")
    assert cli("--eval", str(path), "k", ",", "v") == "v\n"


def test_latency_and_statistics():
    with subprocess.Popen(["redis-cli", "-h", HOST, "-p", PORT, "--stat", "-i", "0.05"], stdout=subprocess.PIPE,
                          text=True) as process:
        said = [process.stdout.readline() for _ in range(5)]
        process.kill()
    assert "keys" in "".join(said) and "clients" in "".join(said), said
    with subprocess.Popen(["redis-cli", "-h", HOST, "-p", PORT, "--latency", "--raw", "-i", "1"],
                          stdout=subprocess.PIPE, text=True) as process:
        words = process.communicate(timeout=30)[0].split()
    assert len(words) >= 4 and int(words[3]) > 0, words


def test_subscribe():
    command = ["redis-cli", "-h", HOST, "-p", PORT, "subscribe", "news"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline().strip() for _ in range(3)] == ["subscribe", "news", "1"]
        assert cli("publish", "news", "hello") == "1\n"
        assert [process.stdout.readline().strip() for _ in range(3)] == ["message", "news", "hello"]
        process.kill()


def test_sections_of_info():
    for section in ("server", "clients", "memory", "persistence", "stats", "replication", "keyspace"):
        assert f"# {section.capitalize()}" in cli("info", section)


def test_help_knows_the_commands():
    assert "summary:" in cli("help", "set")
