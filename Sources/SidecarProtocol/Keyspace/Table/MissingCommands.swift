/// Commands of Redis 7.0 that there are not, by their group: a call of one is answered with an error.
enum MissingCommands {
    static let all: [(group: String, names: String)] = [
        (
            "cluster",
            "ASKING CLUSTER READONLY READWRITE"
        ),
        (
            "connection",
            "CLIENT|CACHING CLIENT|GETREDIR CLIENT|PAUSE CLIENT|TRACKING CLIENT|TRACKINGINFO "
                + "CLIENT|UNPAUSE"
        ),
        (
            "generic",
            "DUMP MIGRATE RESTORE"
        ),
        (
            "geo",
            "GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO "
                + "GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE"
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
            "FCALL FCALL_RO FUNCTION SCRIPT|DEBUG"
        ),
        (
            "server",
            "ACL|CAT ACL|DELUSER ACL|DRYRUN ACL|GENPASS ACL|GETUSER ACL|LIST ACL|LOAD ACL|LOG "
                + "ACL|SAVE ACL|SETUSER ACL|USERS BGREWRITEAOF BGSAVE COMMAND|GETKEYSANDFLAGS "
                + "CONFIG|REWRITE FAILOVER LASTSAVE LATENCY LOLWUT MEMORY|DOCTOR MEMORY|MALLOC-STATS "
                + "MEMORY|PURGE MEMORY|STATS MODULE MONITOR PSYNC REPLCONF REPLICAOF RESTORE-ASKING SAVE "
                + "SHUTDOWN SLAVEOF SLOWLOG SYNC"
        ),
        (
            "stream",
            "XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP XINFO XLEN XPENDING XRANGE XREAD XREADGROUP "
                + "XREVRANGE XSETID XTRIM"
        ),
    ]
}
