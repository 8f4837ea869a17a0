"""redis-py by RESP3, as programs use it: locks, pub/sub, pipelines, scripts, iterations, waits, and asyncio."""

import asyncio
import os
import threading
import time

import pytest
import redis
import redis.asyncio
from redis.exceptions import LockError, NoScriptError, ResponseError, WatchError

HOST, PORT = os.environ["MESH_SUITE_STORE"].rsplit(":", 1)


def connect(**options):
    return redis.Redis(HOST, int(PORT), **{"protocol": 3, "decode_responses": True} | options)


@pytest.fixture
def store():
    with connect() as client:
        client.flushall()
        yield client


def in_thread(body):
    """Runs a function beside the test: its result is awaited at the end."""
    found = []
    thread = threading.Thread(target=lambda: found.append(body()))
    thread.start()

    def end():
        thread.join(10)
        assert found, "no end after 10 s"
        return found[0]

    return end


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_greeting(store):
    hello = store.execute_command("HELLO", 3)
    assert hello["proto"] == 3 and hello["role"] == "master"
    assert store.ping()
    name = "a-program"
    with connect(client_name=name) as other:
        assert other.client_getname() == name
        assert name in [client["name"] for client in store.client_list()]
        info = other.client_info()
        assert info["name"] == name and int(info["resp"]) == 3


def test_types_of_replies(store):
    store.hset("h", mapping={"f": 1, "g": 2})
    assert store.hgetall("h") == {"f": "1", "g": "2"}
    store.sadd("s", "a", "b")
    assert set(store.smembers("s")) == {"a", "b"}
    assert store.zadd("z", {"one": 1, "half": 0.5}) == 2
    assert [(member, float(score)) for member, score in store.zrange("z", 0, -1, withscores=True)] == [
        ("half", 0.5), ("one", 1.0)]
    assert store.zscore("z", "half") == 0.5
    assert store.incrbyfloat("x", 0.1) == 0.1
    assert store.get("nothing") is None
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        store.lpush("h", 1)


def test_lock_keeps_out_and_lets_in(store):
    first, second = (store.lock("lock", timeout=20, thread_local=False) for _ in range(2))
    assert first.acquire(blocking=False)
    assert not second.acquire(blocking=False)
    assert first.locked() and first.owned() and not second.owned()
    waiting = in_thread(lambda: second.acquire(blocking_timeout=10))
    first.release()
    assert waiting() is True
    with pytest.raises(LockError):
        first.release()
    second.release()
    assert not second.locked()


def test_lock_ends_with_its_time(store):
    lock = store.lock("lock", timeout=0.05)
    assert lock.acquire()
    until(lambda: not lock.locked())
    with pytest.raises(LockError):
        lock.release()


def test_lock_is_extended(store):
    lock = store.lock("lock", timeout=10)
    with lock:
        assert lock.extend(10)
        assert store.pttl("lock") > 10_000
        assert lock.reacquire()
        assert store.pttl("lock") <= 10_000


def test_locks_count_right(store):
    def add():
        for _ in range(10):
            with connect().lock("lock", timeout=30, sleep=0.002):
                store.set("sum", int(store.get("sum") or 0) + 1)
        return True

    ends = [in_thread(add) for _ in range(4)]
    assert all(end() for end in ends)
    assert store.get("sum") == "40"


def test_channels_and_patterns(store):
    with store.pubsub() as listener:
        listener.subscribe("news", "weather")
        listener.psubscribe("sport.*")
        assert [listener.get_message(timeout=5)["type"] for _ in range(3)] == ["subscribe", "subscribe", "psubscribe"]
        assert store.publish("news", "hello") == 1
        assert store.publish("sport.chess", "mate") == 1
        assert store.publish("nobody", "listens") == 0
        message = listener.get_message(timeout=5)
        assert (message["type"], message["channel"], message["data"]) == ("message", "news", "hello")
        message = listener.get_message(timeout=5)
        assert (message["type"], message["pattern"], message["channel"], message["data"]) == (
            "pmessage", "sport.*", "sport.chess", "mate")
        assert sorted(store.pubsub_channels()) == ["news", "weather"]
        assert dict(store.pubsub_numsub("news", "nobody")) == {"news": 1, "nobody": 0}
        assert store.pubsub_numpat() == 1
        listener.unsubscribe()
        listener.punsubscribe()
        assert [listener.get_message(timeout=5)["type"] for _ in range(3)] == [
            "unsubscribe", "unsubscribe", "punsubscribe"]
        assert not listener.subscribed


def test_a_listening_thread(store):
    heard = []
    with store.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(news=lambda message: heard.append(message["data"]))
        thread = listener.run_in_thread(sleep_time=0.01)
        until(lambda: store.publish("news", "ready") == 1)
        for number in range(100):
            store.publish("news", number)
        until(lambda: "99" in heard)
        thread.stop()
        thread.join(10)
    assert [word for word in heard if word != "ready"] == [str(number) for number in range(100)]


def test_ping_while_subscribed():
    with connect(protocol=2) as store, store.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        listener.ping("there?")
        message = listener.get_message(timeout=5)
        assert (message["type"], message["data"]) == ("pong", "there?")


def test_a_transaction(store):
    with store.pipeline() as pipe:
        pipe.set("a", 1).incr("a").hset("h", mapping={"x": 1}).hgetall("h").lpop("nothing")
        assert pipe.execute() == [True, 2, 1, {"x": "1"}, None]


def test_a_long_pipeline(store):
    with store.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"key:{number}", number)
        assert pipe.execute() == [True] * 10_000
    assert store.dbsize() == 10_000


def test_a_failure_within_a_transaction(store):
    store.set("text", "x")
    with store.pipeline() as pipe:
        pipe.set("a", 1).incr("text").set("b", 2)
        answers = pipe.execute(raise_on_error=False)
    assert answers[0] is True and isinstance(answers[1], ResponseError) and answers[2] is True
    assert store.mget("a", "b") == ["1", "2"]


def test_watch_sees_a_change(store):
    store.set("a", 1)
    with store.pipeline() as pipe:
        pipe.watch("a")
        store.set("a", 2)
        pipe.multi()
        pipe.set("a", 3)
        with pytest.raises(WatchError):
            pipe.execute()
    assert store.get("a") == "2"
    assert store.transaction(lambda pipe: pipe.multi() or pipe.incr("a"), "a") == [3]


def test_scripts(store):
    script = store.register_script("return {KEYS[1], ARGV[1], redis.call('incrby', KEYS[1], ARGV[1])}")
    assert script(keys=["n"], args=[5]) == ["n", "5", 5]
    assert script(keys=["n"], args=[5]) == ["n", "5", 10]
    assert store.script_exists(script.sha) == [True]
    store.script_flush()
    with pytest.raises(NoScriptError):
        store.evalsha(script.sha, 1, "n", 1)
    assert script(keys=["n"], args=[1]) == ["n", "1", 11]
    with pytest.raises(ResponseError, match="wrong"):
        store.eval("return redis.error_reply('wrong')", 0)
    assert store.eval("redis.setresp(3); return redis.call('hgetall', KEYS[1])", 1, "nothing") in ({}, [])
    with store.pipeline() as pipe:
        script(keys=["n"], args=[1], client=pipe)
        assert pipe.execute() == [["n", "1", 12]]


def test_iterations(store):
    with store.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.set(f"key:{number}", number)
        pipe.hset("h", mapping={f"f{number}": number for number in range(1000)})
        pipe.sadd("s", *range(1000))
        pipe.zadd("z", {f"m{number}": number for number in range(1000)})
        pipe.execute()
    assert set(store.scan_iter("key:*", count=50)) == {f"key:{number}" for number in range(1000)}
    assert set(store.scan_iter(_type="hash")) == {"h"}
    assert dict(store.hscan_iter("h")) == {f"f{number}": str(number) for number in range(1000)}
    assert set(store.sscan_iter("s", match="99*")) == {"99"} | {str(number) for number in range(990, 1000)}
    assert len(set(store.zscan_iter("z"))) == 1000


@pytest.mark.parametrize("wait, add, found", [
    (lambda store: store.blpop(["none", "l"], 10), lambda store: store.rpush("l", "a"), ["l", "a"]),
    (lambda store: store.brpop("l", 10), lambda store: store.rpush("l", "a", "b"), ["l", "b"]),
    (lambda store: store.blmove("l", "m", 10, "LEFT", "RIGHT"), lambda store: store.rpush("l", "a"), "a"),
    (lambda store: store.brpoplpush("l", "m", 10), lambda store: store.rpush("l", "a"), "a"),
    (lambda store: store.blmpop(10, 1, "l", direction="LEFT"), lambda store: store.rpush("l", "a"), ["l", ["a"]]),
    (lambda store: store.bzpopmin("z", 10), lambda store: store.zadd("z", {"a": 1}), ["z", "a", 1.0]),
    (lambda store: store.bzpopmax("z", 10), lambda store: store.zadd("z", {"a": 1, "b": 2}), ["z", "b", 2.0]),
])
def test_waits(store, wait, add, found):
    waiting = in_thread(lambda: wait(connect()))
    until(lambda: store.info("clients")["blocked_clients"] == 1)
    add(store)
    answer = waiting()
    assert (list(answer) if isinstance(answer, (tuple, list)) else answer) == found


def test_a_wait_ends_with_its_time(store):
    assert store.blpop("nothing", 0.05) is None
    assert store.bzpopmin("nothing", 0.05) is None


def test_who_waits_is_let_go(store):
    other = connect()
    number = other.client_id()
    waiting = in_thread(lambda: other.blpop("nothing", 10))
    until(lambda: store.info("clients")["blocked_clients"] == 1)
    assert store.client_unblock(number)
    assert waiting() is None


def test_expiry(store):
    store.set("a", 1, px=50)
    store.set("b", 1, ex=100)
    assert 90 < store.ttl("b") <= 100
    assert store.persist("b") and store.ttl("b") == -1
    until(lambda: store.get("a") is None)
    assert store.set("b", 2, xx=True, keepttl=True) and store.set("b", 3, nx=True) is None


def test_bytes_are_bytes():
    every = bytes(range(256)) * 100
    with connect(decode_responses=False) as store:
        store.flushall()
        store.set(every, every)
        assert store.get(every) == every
        store.rpush(b"l", b"", b"\r\n", b"\x00")
        assert store.lrange(b"l", 0, -1) == [b"", b"\r\n", b"\x00"]


def test_many_connections(store):
    def count():
        with connect() as own:
            for _ in range(50):
                own.incr("n")
        return True

    ends = [in_thread(count) for _ in range(20)]
    assert all(end() for end in ends)
    assert store.get("n") == "1000"


def test_asyncio(store):
    async def body():
        async with redis.asyncio.Redis(host=HOST, port=int(PORT), protocol=3, decode_responses=True) as client:
            assert await asyncio.gather(*(client.incr("n") for _ in range(100)))
            assert await client.get("n") == "100"
            async with client.pipeline(transaction=True) as pipe:
                assert await pipe.set("a", 1).incr("a").execute() == [True, 2]
            async with client.pubsub() as listener:
                await listener.subscribe("news")
                assert (await listener.get_message(timeout=5))["type"] == "subscribe"
                await client.publish("news", "hello")
                assert (await listener.get_message(timeout=5))["data"] == "hello"
            async with client.lock("lock", timeout=5):
                assert await client.exists("lock")
            assert {key async for key in client.scan_iter()} >= {"n", "a"}

    asyncio.run(body())
