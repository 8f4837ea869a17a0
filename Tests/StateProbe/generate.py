"""Random commands for the comparison with redis-server: few keys, so that commands meet each other's work, and
arguments that are seldom, but again and again, what they shouldn't be."""

import random

KEYS = [b"k%d" % n for n in range(6)]
MEMBERS = [b"a", b"b", b"c", b"d", b"", b"1", b"2", b"-3", b"10", b"abc", b"x" * 70, b"\x00\xff\r\n", b"07"]
NUMBERS = [b"0", b"1", b"-1", b"2", b"3", b"5", b"-2", b"10", b"100", b"-100"]
ODD_NUMBERS = [b"", b"x", b"1.5", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"01",
               b" 1", b"+1", b"1e3", b"-0"]
FLOATS = [b"0", b"1", b"-1", b"1.5", b"2.25", b"3.1", b"-0.1", b"1e3", b"100.125"]
ODD_FLOATS = [b"inf", b"-inf", b"nan", b"x", b"", b"1e400", b"0x10", b"1e-5", b"3.0e10", b"+inf", b"1e17"]
PATTERNS = [b"*", b"k?", b"[a-c]", b"a*", b"k[^1]", b"\\a", b"*b*", b"?", b"[", b"**", b"k[1-3]"]


# What a redis-server 7.0.15 has dumped, of each encoding.
DUMPED = [bytes.fromhex(text) for text in (
    "00c0f90a005e26d130d7a242ab",
    "00c12c010a00954261f265825c10",
    "00c290eefeff0a002875de7b13eb2800",
    "000d313039393531313632373737360a00dcd5c1feb95f4c57",
    "000568656c6c6f0a006372df766534200a",
    "00c31341980361626361e05f02007ae0ff00e01800017a7a0a00dd72974904bfb146",
    "12050240525200000011000101dfff023f0140017f01c08002d00002cfff02f1001003f1008003f1ff7f03f2ffff7f04f200"
    "008004f4000000800000000009f4ffffff7fffffffff09f4000000000000004009816102ff01c3093f016262e03200016262"
    "01c3094040016363e0330001636302090900000001008001ff01c30c412c017878e0ff00e017000178780a00b729abdc2be3"
    "cc49",
    "1203020f0f00000004000001010102010301ff020f0f00000004000401050106010701ff020b0b000000020008010901ff0a"
    "009e5dd02aa9ffd344",
    "0b0e0200000003000000fdff010002000a00d1b78ed9bc07c27f",
    "0b14040000000300000090eefeff05000000701101000a00bfd8676e87ff269c",
    "0b180800000002000000ffffffffffffffff00000000000100000a00198b74b37c138b2a",
    "02030162c00a01610a00d0e848cc6444f0c6",
    "101d1d00000006008166020101816702847465787405816802f290eefe04ff0a004bc2d6c3cd233a64",
    "0402016701760166c0010a000f17ef8620890e1e",
    "111d1d0000000600816202842d322e3505816102010181630283696e6604ff0a009b1887c2526582cb",
    "05030163000000000000f07f0161000000000000f03f016200000000000004c00a00c72e14909bdf6c0b")]


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.queued = []

    def key(self): return self.r.choice(KEYS)
    def member(self): return self.r.choice(MEMBERS)
    def one(self, *words): return self.r.choice(words)
    def maybe(self, *words): return list(words) if self.r.random() < 0.3 else []
    def number(self): return self.r.choice(NUMBERS if self.r.random() < 0.93 else ODD_NUMBERS)
    def float(self): return self.r.choice(FLOATS if self.r.random() < 0.9 else ODD_FLOATS)
    def many(self, make, least=1, most=4): return [make() for _ in range(self.r.randint(least, most))]
    def bound(self): return self.one(b"", b"(") + self.float()

    def lex_key(self):
        """Ranges by name are told of sets in which every score is the same."""
        return self.one(b"lex1", b"lex2")

    def name_bound(self):
        return self.one(b"-", b"+", b"[" + self.member(), b"(" + self.member(), b"[a", b"(c", b"x", b"")

    def pairs(self, *make):
        return [part() for _ in range(self.r.randint(1, 3)) for part in make]

    def future(self): return self.one(b"100", b"1000", b"5000", b"-1", b"0", b"x", b"9223372036854775807")

    def when(self):
        """A word that says a time, and the time: far away, so that both servers see the same."""
        return self.one([b"EX", b"1000"], [b"PX", b"5000000"], [b"EXAT", b"33177117420"],
                        [b"PXAT", b"33177117420000"], [b"EX", b"0"], [b"PX", b"-1"], [b"EX", b"x"], [b"EX"],
                        [b"EXAT", b"1"], [b"EX", b"9223372036854775807"])

    def call(self):
        if self.queued:
            return self.queued.pop()
        call = self.spoilt()
        if call[0].lower().startswith(b"sort"):
            # Redis's SORT looks at an errno that nobody has set for it; this sets it to 0.
            self.queued.append(call)
            return [b"zadd", b"so-e", b"1", b"a"]
        return call

    def spoilt(self):
        call = self.r.choice(self.families)(self)
        spoil = self.r.random()
        # Without their count these draw a member, and the two would go apart.
        if spoil < 0.01 and len(call) > 1 and call[0] not in self.drawing:
            call.pop(self.r.randrange(1, len(call)))
        elif spoil < 0.02:
            call.insert(self.r.randint(1, len(call)), self.one(b"x", b"1", b"", b"NX", b"COUNT"))
        if self.r.random() < 0.05:
            call[0] = call[0].upper()
        return call

    def strings(self):
        k = self.key()
        return self.one(
            lambda: [b"get", k], lambda: [b"set", k, self.one(self.member(), self.number(), self.float())],
            lambda: [b"set", k, self.member()] + self.maybe(self.one(b"NX", b"XX", b"xx"))
            + self.maybe(b"GET") + (self.when() if self.r.random() < 0.3 else self.maybe(b"KEEPTTL")),
            lambda: [b"setnx", k, self.number()], lambda: [b"setex", k, self.future(), b"v"],
            lambda: [b"psetex", k, self.one(b"5000000", b"0", b"x"), b"v"], lambda: [b"getset", k, self.number()],
            lambda: [b"getdel", k], lambda: [b"getex", k] + self.one([], self.when(), [b"PERSIST"], [b"x"]),
            lambda: [b"mget"] + self.many(self.key), lambda: [b"mset"] + self.pairs(self.key, self.member),
            lambda: [b"msetnx"] + self.pairs(self.key, self.member), lambda: [b"incr", k], lambda: [b"decr", k],
            lambda: [b"incrby", k, self.number()], lambda: [b"decrby", k, self.number()],
            lambda: [b"incrbyfloat", k, self.float()], lambda: [b"append", k, self.member()],
            lambda: [b"strlen", k], lambda: [b"setrange", k, self.one(b"0", b"1", b"5", b"-1", b"x"), self.member()],
            lambda: [b"getrange", k, self.number(), self.number()], lambda: [b"substr", k, self.number(), self.number()],
            lambda: [b"lcs", k, self.key()] + self.one([], [b"LEN"], [b"IDX"], [b"IDX", b"WITHMATCHLEN"],
                                                      [b"IDX", b"MINMATCHLEN", b"2"], [b"LEN", b"IDX"]))()

    def bit_place(self):
        return self.one(b"0", b"1", b"7", b"8", b"9", b"23", b"100", b"#1", b"-1", b"x", b"4294967296", b"9223372036854775807")

    def bits(self):
        k = self.key()
        field = lambda: self.one(b"u8", b"i8", b"u1", b"i5", b"u63", b"i64", b"u64", b"i0", b"i65", b"x", b"u16", b"i16")
        place = lambda: self.one(b"0", b"#0", b"#1", b"3", b"60", b"#-1", b"x", b"100")
        number = lambda: self.one(b"0", b"1", b"-1", b"100", b"-100", b"127", b"255", b"256", b"-128", b"-129", b"70000",
                                  b"9223372036854775807", b"-9223372036854775808", b"4611686018427387904", b"x")
        step = lambda: self.one([b"GET", field(), place()], [b"SET", field(), place(), number()],
                                [b"incrby", field(), place(), number()], [b"OVERFLOW", self.one(b"wrap", b"SAT", b"fail", b"x")])
        unit = lambda: [self.one(b"BIT", b"byte", b"x")] if self.r.random() < 0.5 else []
        return self.one(
            lambda: [b"setbit", k, self.bit_place(), self.one(b"0", b"1", b"1", b"2", b"x")],
            lambda: [b"setbit", k, self.one(b"3", b"8", b"17"), self.one(b"0", b"1")], lambda: [b"getbit", k, self.bit_place()],
            lambda: [b"bitcount", k] + ([self.number(), self.number()] + unit() if self.r.random() < 0.8 else []),
            lambda: [b"bitpos", k, self.one(b"0", b"1", b"0", b"1", b"2", b"x")] + self.one(
                [], [self.number()], [self.number(), self.number()], [self.number(), self.number()] + unit()),
            lambda: [b"bitop", self.one(b"and", b"OR", b"xor", b"or", b"x"), self.key()] + self.many(self.key),
            lambda: [b"bitop", b"not", self.key(), self.key()] + self.maybe(self.key()),
            lambda: [self.one(b"bitfield", b"bitfield", b"bitfield_ro"), k] + [word for part in self.many(step) for word in part],
            lambda: [b"bitfield_ro", k, b"GET", field(), place()], lambda: [b"object", b"encoding", k], lambda: [b"get", k])()

    def sorting(self):
        """On keys of its own, whose elements are seldom no numbers. Redis promises no order of equal weights."""
        k = self.one(b"so-l", b"so-s", b"so-z")
        item = lambda: self.one(*[b"%d" % n for n in range(12)], b"1.5", b"-3", b"1e2", b" 8") if self.r.random() < 0.98 else self.one(b"x", b"y z", b"", b"inf", b"8 ")
        order = lambda: self.maybe(self.one(b"ASC", b"DESC", b"desc")) + self.maybe(b"LIMIT", self.number(), self.number())
        get = lambda: self.one([], [], [b"GET", b"#"], [b"GET", b"w_*"], [b"GET", b"wh_*->f"], [b"GET", b"w_*", b"GET", b"#"], [b"GET", b"none"], [b"GET", b"so-*"])
        by = lambda: self.one([], [], [b"BY", b"w_*"], [b"BY", b"wh_*->f"], [b"by", b"none_*"], [b"BY", b"wh_*->"])
        store = lambda: self.maybe(b"STORE", self.one(b"so-d", b"so-l", b"so-s", b"so-z"))
        return self.one(
            lambda: [b"rpush", b"so-l"] + self.many(item), lambda: [b"sadd", b"so-s"] + self.many(item),
            lambda: [b"zadd", b"so-z"] + [word for one in self.many(item) for word in (self.one(b"1", b"2"), one)],
            lambda: [b"set", b"w_" + item(), item()], lambda: [b"hset", b"wh_" + item(), b"f", item()], lambda: [b"del", k],
            lambda: [self.one(b"sort", b"sort_ro"), k] + by() + order() + get(),
            lambda: [b"sort", k] + by() + order() + get() + store(), lambda: [b"sort", k, b"ALPHA"] + order() + get() + store(),
            lambda: [b"sort", b"so-l", b"BY", b"w_*", b"ALPHA"] + self.maybe(b"DESC") + get() + store(),
            lambda: [b"sort", self.one(b"so-l", b"so-z"), b"BY", b"nosort"] + order() + get() + store(),
            lambda: [b"sort", self.key()] if self.r.random() < 0.1 else [b"lrange", b"so-d", b"0", b"-1"],
            lambda: [b"object", b"encoding", k], lambda: [b"type", k])()

    def counts(self):
        k = self.one(b"hll1", b"hll2", b"hll3") if self.r.random() < 0.97 else self.key()
        other = self.one(b"hll1", b"hll2", b"hll3")
        element = lambda: b"e%d" % self.r.randrange(3000)
        return self.one(
            lambda: [b"pfadd", k] + self.many(element, 0, 5), lambda: [b"pfadd", k] + self.many(element, 0, 3),
            lambda: [b"pfadd", k] + (self.many(element, 200, 400) if self.r.random() < 0.1 else []),
            lambda: [b"pfcount", k], lambda: [b"pfcount", k, other], lambda: [b"pfmerge", k, other] + self.maybe(other),
            lambda: [b"pfdebug", self.one(b"encoding", b"decode", b"x"), k],
            lambda: [b"pfdebug", b"todense", k] if self.r.random() < 0.02 else [b"get", k],
            lambda: [b"get", k], lambda: [b"get", k], lambda: [b"object", b"encoding", k],
            lambda: [b"del", k] if self.r.random() < 0.2 else [b"strlen", k],
            lambda: [b"set", k, b"HYLL" + bytes(self.r.randrange(256) for _ in range(self.r.randrange(30)))]
            if self.r.random() < 0.1 else [b"get", k],
            lambda: [b"config", b"set", b"hll-sparse-max-bytes", self.one(b"3000", b"3000", b"200", b"0")])()

    def dumps(self):
        k = self.key()
        def payload():
            one = self.r.choice(DUMPED)
            if self.r.random() < 0.9:
                return one
            place = self.r.randrange(len(one))
            return one[:place] + bytes([self.r.randrange(256)]) + one[place + 1:]
        return self.one(
            lambda: [b"restore", k, self.one(b"0", b"0", b"5000000", b"-1", b"x"), payload()] + self.maybe(b"REPLACE")
            + self.one([], [], [b"IDLETIME", b"5"], [b"FREQ", b"5"], [b"FREQ", b"256"], [b"x"]),
            lambda: [b"restore", k, b"33177117420000", payload(), b"ABSTTL", b"REPLACE"],
            lambda: [b"restore", k, b"0", payload(), b"REPLACE"], lambda: [b"dump", self.one(b"none", k)],
            lambda: [b"lrange", k, b"0", b"-1"], lambda: [b"smembers", k], lambda: [b"hgetall", k],
            lambda: [b"zrange", k, b"0", b"-1", b"WITHSCORES"], lambda: [b"get", k], lambda: [b"object", b"encoding", k])()

    def places(self):
        """Not across the poles, around half the globe, nor across 180 degrees: there Redis leaves out some of what it should find."""
        k = self.one(b"geo1", b"geo2") if self.r.random() < 0.97 else self.key()
        town = lambda: b"t%d" % self.r.randrange(40)
        lon = lambda: b"%.*f" % (self.r.randrange(7), self.r.uniform(-145, 145)) if self.r.random() < 0.3 else b"%.4f" % self.r.uniform(10, 20)
        lat = lambda: b"%.*f" % (self.r.randrange(7), self.r.uniform(-65, 65)) if self.r.random() < 0.3 else b"%.4f" % self.r.uniform(35, 45)
        odd = lambda make: make() if self.r.random() < 0.97 else self.one(b"181", b"-86", b"x", b"0")
        unit = lambda: self.one(b"m", b"km", b"KM", b"ft", b"mi") if self.r.random() < 0.97 else b"x"
        size = lambda: self.one(b"0", b"1", b"50", b"300", b"700", b"900", b"-1", b"x")
        told = lambda: self.maybe(b"WITHDIST") + self.maybe(b"WITHCOORD") + self.maybe(b"WITHHASH")
        order = lambda: self.maybe(self.one(b"ASC", b"DESC")) + self.maybe(b"COUNT", self.one(b"1", b"3", b"100", b"0", b"x"))
        store = lambda: self.maybe(self.one(b"STORE", b"STOREDIST"), b"geo3")
        center = lambda: self.one([b"FROMMEMBER", town()], [b"FROMLONLAT", odd(lon), odd(lat)], [b"FROMLONLAT", lon(), lat()], [])
        shape = lambda: self.one([b"BYRADIUS", size(), unit()], [b"BYBOX", size(), size(), unit()], [b"BYBOX", size(), size(), unit()], [])
        return self.one(
            lambda: [b"geoadd", k] + self.maybe(self.one(b"NX", b"XX", b"CH")) + [w for _ in range(self.r.randrange(1, 5)) for w in (odd(lon), odd(lat), town())],
            lambda: [b"geoadd", k] + [w for _ in range(5) for w in (lon(), lat(), town())],
            lambda: [b"geodist", k, town(), town()] + self.maybe(unit()), lambda: [b"geohash", k] + self.many(town),
            lambda: [b"geopos", k] + self.many(town), lambda: [b"zadd", b"geo2", b"%d" % (3479099956230698 + self.r.randrange(1 << 36)), town()],
            lambda: [self.one(b"georadius", b"georadius_ro"), k, odd(lon), odd(lat), size(), unit()] + told() + order(),
            lambda: [b"georadius", k, lon(), lat(), size(), b"km"] + order() + store(),
            lambda: [self.one(b"georadiusbymember", b"georadiusbymember_ro"), k, town(), size(), unit()] + told() + order(),
            lambda: [b"georadiusbymember", k, town(), size(), b"km"] + order() + store(),
            lambda: [b"geosearch", k] + center() + shape() + told() + order(),
            lambda: [b"geosearchstore", b"geo3", k] + center() + shape() + order() + self.maybe(b"STOREDIST") + self.maybe(b"WITHDIST"),
            lambda: [b"geoadd", b"ends", self.one(b"-180", b"180", b"179.99999"), odd(lat), town()],
            lambda: [self.one(b"geopos", b"geohash"), b"ends"] + self.many(town),
            lambda: [b"zrange", b"geo3", b"0", b"-1", b"WITHSCORES"])()

    def keys(self):
        k, other = self.key(), self.key()
        return self.one(
            lambda: [self.one(b"del", b"unlink", b"exists", b"touch")] + self.many(self.key), lambda: [b"type", k],
            lambda: [b"keys", self.r.choice(PATTERNS)], lambda: [b"dbsize"], lambda: [b"rename", k, other],
            lambda: [b"renamenx", k, other], lambda: [b"copy", k, other] + self.maybe(b"REPLACE") + self.maybe(b"DB", b"1"),
            lambda: [b"move", k, self.one(b"1", b"0", b"16", b"x")], lambda: [b"object", b"encoding", k],
            lambda: [b"object", b"refcount", b"nokey"], lambda: [b"object", b"freq", k],
            lambda: [self.one(b"expire", b"pexpire"), k, self.one(b"100000", b"5000000", b"-1", b"0", b"x")]
            + self.maybe(self.one(b"NX", b"XX", b"GT", b"LT", b"xx", b"bad")),
            lambda: [self.one(b"expireat", b"pexpireat"), k, self.one(b"33177117420000", b"1", b"x")]
            + self.maybe(self.one(b"NX", b"XX", b"GT", b"LT")),
            lambda: [self.one(b"expiretime", b"pexpiretime", b"persist"), k], lambda: [b"ttl", k],
            lambda: [b"scan", self.one(b"0", b"x", b""), b"COUNT", self.one(b"1000", b"0", b"x")] + self.maybe(b"TYPE", self.one(b"string", b"zset"))
            + self.maybe(b"MATCH", self.r.choice(PATTERNS)),
            lambda: [b"select", self.one(b"0", b"0", b"1", b"16", b"x")], lambda: [b"swapdb", b"0", self.one(b"1", b"x", b"99")],
            lambda: [b"flushdb"] if self.r.random() < 0.05 else [b"exists", k])()

    def hashes(self):
        k = self.key()
        return self.one(
            lambda: [b"hset", k] + self.pairs(self.member, self.member), lambda: [b"hmset", k] + self.pairs(self.member, self.number),
            lambda: [b"hset", k] + self.pairs(self.member, self.number), lambda: [b"hsetnx", k, self.member(), self.number()],
            lambda: [b"hget", k, self.member()], lambda: [b"hmget", k] + self.many(self.member), lambda: [b"hgetall", k],
            lambda: [b"hkeys", k], lambda: [b"hvals", k], lambda: [b"hlen", k], lambda: [b"hexists", k, self.member()],
            lambda: [b"hstrlen", k, self.member()], lambda: [b"hdel", k] + self.many(self.member),
            lambda: [b"hincrby", k, self.member(), self.number()], lambda: [b"hincrbyfloat", k, self.member(), self.float()],
            lambda: [b"hrandfield", k, self.one(b"0", b"x", b"100")] + self.maybe(b"WITHVALUES"),
            lambda: [b"hscan", k, b"0", b"COUNT", b"1000"] + self.maybe(b"MATCH", self.r.choice(PATTERNS)))()

    def lists(self):
        k, other = self.key(), self.key()
        side = lambda: self.one(b"LEFT", b"RIGHT", b"left", b"x") if self.r.random() < 0.1 else self.one(b"LEFT", b"RIGHT")
        return self.one(
            lambda: [self.one(b"lpush", b"rpush", b"lpushx", b"rpushx"), k] + self.many(self.member),
            lambda: [b"rpush", k] + self.many(self.member),
            lambda: [self.one(b"lpop", b"rpop"), k] + self.maybe(self.number()), lambda: [b"llen", k],
            lambda: [b"lindex", k, self.number()], lambda: [b"lrange", k, self.number(), self.number()],
            lambda: [b"lset", k, self.number(), self.member()],
            lambda: [b"linsert", k, self.one(b"BEFORE", b"after", b"x"), self.member(), self.member()],
            lambda: [b"lrem", k, self.number(), self.member()], lambda: [b"ltrim", k, self.number(), self.number()],
            lambda: [b"lpos", k, self.member()] + self.maybe(b"RANK", self.number()) + self.maybe(b"COUNT", self.number())
            + self.maybe(b"MAXLEN", self.number()),
            lambda: [b"lmove", k, other, side(), side()], lambda: [b"rpoplpush", k, other],
            lambda: [b"lmpop", self.one(b"1", b"2", b"0", b"x"), k, other, side()] + self.maybe(b"COUNT", self.number()),
            lambda: [self.one(b"blpop", b"brpop"), k, other, self.one(b"0.001", b"-1", b"x", b"0.001")],
            lambda: [b"blmove", k, other, side(), side(), b"0.001"], lambda: [b"brpoplpush", k, other, b"0.001"],
            lambda: [b"blmpop", b"0.001", b"1", k, side()])()

    def sets(self):
        k = self.key()
        return self.one(
            lambda: [b"sadd", k] + self.many(self.member), lambda: [b"sadd", k] + self.many(self.number),
            lambda: [b"srem", k] + self.many(self.member), lambda: [b"smove", k, self.key(), self.member()],
            lambda: [b"sismember", k, self.member()], lambda: [b"smismember", k] + self.many(self.member),
            lambda: [b"scard", k], lambda: [b"smembers", k], lambda: [self.one(b"sinter", b"sunion", b"sdiff")] + self.many(self.key),
            lambda: [self.one(b"sinterstore", b"sunionstore", b"sdiffstore")] + self.many(self.key, 2),
            lambda: [b"sintercard", self.one(b"1", b"2", b"0", b"x"), k, self.key()] + self.maybe(b"LIMIT", self.number()),
            lambda: [b"srandmember", k, self.one(b"0", b"x", b"100")], lambda: [b"spop", k, self.one(b"0", b"x", b"-1", b"100")],
            lambda: [b"sscan", k, b"0", b"COUNT", b"1000"] + self.maybe(b"MATCH", self.r.choice(PATTERNS)))()

    def sorted_sets(self):
        k, other = self.key(), self.key()
        limit = lambda: self.maybe(b"LIMIT", self.number(), self.number())
        combine = lambda: self.maybe(b"WEIGHTS", self.float(), self.float()) + self.maybe(b"AGGREGATE", self.one(b"sum", b"MIN", b"max", b"x"))
        return self.one(
            lambda: [b"zadd", k] + self.pairs(self.float, self.member), lambda: [b"zadd", k] + self.pairs(self.float, self.member),
            lambda: [b"zadd", k] + self.maybe(self.one(b"NX", b"XX")) + self.maybe(self.one(b"GT", b"LT")) + self.maybe(b"CH")
            + self.maybe(b"INCR") + self.pairs(self.float, self.member),
            lambda: [b"zincrby", k, self.float(), self.member()], lambda: [b"zrem", k] + self.many(self.member),
            lambda: [b"zcard", k], lambda: [b"zscore", k, self.member()], lambda: [b"zmscore", k] + self.many(self.member),
            lambda: [self.one(b"zrank", b"zrevrank"), k, self.member()],
            lambda: [self.one(b"zrange", b"zrevrange"), k, self.number(), self.number()] + self.maybe(b"WITHSCORES"),
            lambda: [b"zrange", k, self.bound(), self.bound(), b"BYSCORE"] + self.maybe(b"REV") + limit() + self.maybe(b"WITHSCORES"),
            lambda: [b"zrange", self.lex_key(), self.name_bound(), self.name_bound(), b"BYLEX"] + self.maybe(b"REV") + limit(),
            lambda: [b"zrangestore", other, k, self.number(), self.number()] + self.maybe(b"REV"),
            lambda: [self.one(b"zrangebyscore", b"zrevrangebyscore"), k, self.bound(), self.bound()] + self.maybe(b"WITHSCORES") + limit(),
            lambda: [self.one(b"zrangebylex", b"zrevrangebylex"), self.lex_key(), self.name_bound(), self.name_bound()] + limit(),
            lambda: [self.one(b"zcount", b"zremrangebyscore"), k, self.bound(), self.bound()],
            lambda: [self.one(b"zlexcount", b"zremrangebylex"), self.lex_key(), self.name_bound(), self.name_bound()],
            lambda: [b"zadd", self.lex_key()] + [part for name in self.many(self.member) for part in (b"0", name)],
            lambda: [b"zremrangebyrank", k, self.number(), self.number()],
            lambda: [self.one(b"zpopmin", b"zpopmax"), k] + self.maybe(self.number()),
            lambda: [b"zmpop", self.one(b"1", b"2", b"x"), k, other, self.one(b"MIN", b"max", b"x")] + self.maybe(b"COUNT", self.number()),
            lambda: [self.one(b"bzpopmin", b"bzpopmax"), k, other, b"0.001"],
            lambda: [self.one(b"zunion", b"zinter"), b"2", k, other] + combine() + self.maybe(b"WITHSCORES"),
            lambda: [self.one(b"zunionstore", b"zinterstore"), self.key(), b"2", k, other] + combine(),
            lambda: [b"zdiff", self.one(b"2", b"0", b"3"), k, other] + self.maybe(b"WITHSCORES"),
            lambda: [b"zdiffstore", self.key(), b"2", k, other],
            lambda: [b"zintercard", b"2", k, other] + self.maybe(b"LIMIT", self.number()),
            lambda: [b"zrandmember", k, self.one(b"0", b"x", b"100")] + self.maybe(b"WITHSCORES"),
            lambda: [b"zscan", k, b"0", b"COUNT", b"1000"] + self.maybe(b"MATCH", self.r.choice(PATTERNS)))()

    def connection(self):
        return self.one(
            lambda: [b"multi"], lambda: [b"exec"], lambda: [b"exec"], lambda: [b"discard"],
            lambda: [b"watch"] + self.many(self.key), lambda: [b"unwatch"], lambda: [b"ping"] + self.maybe(self.member()),
            lambda: [b"echo", self.member()], lambda: [b"client", b"getname"], lambda: [b"client", b"setname", self.one(b"n", b"a b")],
            lambda: [b"nosuch", self.member()], lambda: [b"config", b"nosuch"], lambda: [b"publish", b"c", self.member()],
            lambda: [b"pubsub", b"numpat"], lambda: [b"command", b"count", b"x"], lambda: [b"hello", self.one(b"2", b"3", b"4", b"x")],
            lambda: [b"command", b"getkeys"] + self.one([b"get", b"k"], [b"zunionstore", b"d", b"2", b"a", b"b"], [b"ping"], [b"nosuch", b"k"],
                                                        [b"mset", b"a", b"1", b"b", b"2"], [b"lmpop", b"1", b"k", b"left"]),
            lambda: [b"object", b"nosuch", b"k"], lambda: [b"client", b"reply", b"x"], lambda: [b"auth", b"x"])()

    def entry_id(self):
        """Small ones, so that calls meet each other's entries; the time would differ between two servers."""
        first = b"%d" % self.r.randint(0, 40)
        return self.one(first, first + b"-%d" % self.r.randint(0, 3), first + b"-%d" % self.r.randint(0, 3),
                        self.one(b"-", b"+", b"x", b"1-x", b"", b"18446744073709551615", b"1-18446744073709551616",
                                 b"0-0"))

    def streams(self):
        # Nothing dumps these.
        k = self.one(b"st1", b"st2")
        trim = lambda: self.one([b"MAXLEN", self.number()], [b"maxlen", b"=", self.number()],
                                [b"MINID", self.entry_id()], [b"minid", b"=", self.entry_id()])
        span = lambda: self.one(b"", b"", b"(") + self.entry_id()
        return self.one(
            lambda: [b"xadd", k, self.entry_id()] + self.pairs(self.member, self.member),
            lambda: [b"xadd", k, b"%d-*" % self.r.randint(0, 40)] + self.pairs(self.member, self.number),
            lambda: [b"xadd", k] + self.maybe(b"NOMKSTREAM") + self.maybe(*trim()) + [self.entry_id(), b"f", b"v"],
            lambda: [b"xlen", k], lambda: [b"xdel", k] + self.many(self.entry_id), lambda: [b"xtrim", k] + trim(),
            lambda: [b"xtrim", k] + trim() + self.maybe(b"LIMIT", self.number()),
            lambda: [self.one(b"xrange", b"xrevrange"), k, span(), span()] + self.maybe(b"COUNT", self.number()),
            lambda: [self.one(b"xrange", b"xrevrange"), k, self.one(b"-", b"+"), self.one(b"-", b"+")],
            lambda: [b"xread"] + self.maybe(b"COUNT", self.number()) + self.maybe(b"BLOCK", self.one(b"1", b"-1", b"x"))
            + [b"STREAMS", k, b"st1", self.one(self.entry_id(), b"$"), self.one(self.entry_id(), b"$", b">")],
            lambda: [b"xread", b"STREAMS", k, b"0"],
            # Apart from XDEL and XTRIM: back behind what was deleted, Redis keeps entries out of order, and trims fewer.
            lambda: [b"xsetid", b"st3", self.entry_id()], lambda: [b"xadd", b"st3", self.entry_id(), b"f", b"v"],
            lambda: [self.one(b"xrange", b"xrevrange"), b"st3", self.one(b"-", b"+"), self.one(b"-", b"+")],
            lambda: [b"del", b"st1"], lambda: [b"type", k], lambda: [b"object", b"encoding", k])()

    drawing = (b"sort", b"sort_ro", b"spop", b"srandmember", b"hrandfield", b"zrandmember")
    families = [strings, strings, bits, sorting, counts, dumps, places, keys, hashes, lists, sets, sorted_sets, sorted_sets,
                streams, connection]
