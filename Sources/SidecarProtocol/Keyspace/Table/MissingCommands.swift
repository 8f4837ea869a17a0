/// Commands of Redis 7.0 that there are not, by their group: a call of one is answered with an error.
enum MissingCommands {
    static let all: [(group: String, names: String)] = [
        (
            "connection",
            "CLIENT|PAUSE CLIENT|UNPAUSE"
        ),
        (
            "generic",
            "MIGRATE"
        ),
        (
            "hyperloglog",
            "PFSELFTEST"
        ),
        (
            "pubsub",
            "PUBSUB|SHARDCHANNELS PUBSUB|SHARDNUMSUB SPUBLISH SSUBSCRIBE SUNSUBSCRIBE"
        ),
        (
            "scripting",
            "FCALL FCALL_RO FUNCTION|DELETE FUNCTION|DUMP FUNCTION|KILL FUNCTION|LOAD FUNCTION|RESTORE "
                + "FUNCTION|STATS SCRIPT|DEBUG"
        ),
        (
            "server",
            "ACL|CAT ACL|DELUSER ACL|DRYRUN ACL|GENPASS ACL|GETUSER ACL|LIST ACL|LOAD ACL|LOG "
                + "ACL|SAVE ACL|SETUSER FAILOVER LATENCY LOLWUT MEMORY|DOCTOR MEMORY|MALLOC-STATS "
                + "MEMORY|PURGE MEMORY|STATS MODULE|LOAD MODULE|LOADEX MODULE|UNLOAD MONITOR PSYNC REPLCONF REPLICAOF RESTORE-ASKING "
                + "SHUTDOWN SLAVEOF SLOWLOG SYNC"
        ),
        (
            "stream",
            "XACK XAUTOCLAIM XCLAIM XGROUP XINFO XPENDING XREADGROUP"
        ),
    ]
}
