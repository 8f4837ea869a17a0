// Rows of the command table.

extension CommandTable {
    static let geo: [Command] = [
        Command(
            "geoadd", -5, .geo, "3.2.0", [.write, .denyoom], keys: (1, 1, 1), specs: "RW update @1 0:1:0",
            acl: "write geo slow", conditional: .withWords(["nx", "xx"]),
            "Add one or more geospatial items in the geospatial index represented using a sorted set",
            .data { k throws(CommandError) in try k.addPlaces() }),
        Command(
            "geodist", -4, .geo, "3.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read geo slow", "Returns the distance between two members of a geospatial index",
            .data { k throws(CommandError) in try k.distanceOfMembers() }),
        Command(
            "geohash", -2, .geo, "3.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read geo slow", "Returns members of a geospatial index as standard geohash strings",
            .data { k throws(CommandError) in try k.hashesOfMembers() }),
        Command(
            "geopos", -2, .geo, "3.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read geo slow", "Returns longitude and latitude of members of a geospatial index",
            .data { k throws(CommandError) in try k.placesOfMembers() }),
        Command(
            "georadius", -6, .geo, "3.2.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0 | OW update @STORE:6 0:1:0 | OW update @STOREDIST:6 0:1:0",
            acl: "write geo slow",
            "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a point",
            .data { k throws(CommandError) in try k.searchPlaces(.byPlace) }),
        Command(
            "georadius_ro", -6, .geo, "3.2.10", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read geo slow", "A read-only variant for GEORADIUS",
            .data { k throws(CommandError) in try k.searchPlaces([.byPlace, .readOnly]) }),
        Command(
            "georadiusbymember", -5, .geo, "3.2.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0 | OW update @STORE:5 0:1:0 | OW update @STOREDIST:5 0:1:0",
            acl: "write geo slow",
            "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance from a member",
            .data { k throws(CommandError) in try k.searchPlaces(.byMember) }),
        Command(
            "georadiusbymember_ro", -5, .geo, "3.2.10", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read geo slow", "A read-only variant for GEORADIUSBYMEMBER",
            .data { k throws(CommandError) in try k.searchPlaces([.byMember, .readOnly]) }),
        Command(
            "geosearch", -7, .geo, "6.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read geo slow",
            "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.",
            .data { k throws(CommandError) in try k.searchPlaces(.search) }),
        Command(
            "geosearchstore", -8, .geo, "6.2.0", [.write, .denyoom], keys: (1, 2, 1),
            specs: "OW update @1 0:1:0 | RO access @2 0:1:0", acl: "write geo slow",
            "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, and store the result in another key.",
            .data { k throws(CommandError) in try k.searchPlaces([.search, .stores]) }),
    ]
}
