// swift-tools-version: 6.3
import PackageDescription

/// Settings of every target of our own: warnings are errors, language mode 6.
let house: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "mesh",
    products: [
        .executable(name: "mesh-launch", targets: ["mesh-launch"]),
        .executable(name: "mesh-sidecar", targets: ["mesh-sidecar"]),
        .executable(name: "mesh-node", targets: ["mesh-node"]),
        .executable(name: "mesh", targets: ["mesh"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // C: system libraries by module map, and our own shims.
        .systemLibrary(name: "CSodium"),
        .systemLibrary(name: "CSlirp"),
        .systemLibrary(name: "CNetlink", pkgConfig: "libnl-route-3.0"),
        .target(name: "CCrypto"),
        .target(name: "CLinuxShims"),
        // Lua for scripts of the state, loaded when the first one comes.
        .target(name: "CLua", linkerSettings: [.linkedLibrary("dl")]),

        // The pure core: protocols as state machines, no I/O.
        .target(name: "SidecarProtocol", dependencies: ["CSodium", "CCrypto"], swiftSettings: house),

        // The I/O shells.
        .target(
            name: "Transport",
            dependencies: [
                "SidecarProtocol", "CLinuxShims",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio, swiftSettings: house),
        .target(
            name: "Sidecar",
            dependencies: [
                "SidecarProtocol", "StateFiles", "Transport", "CSlirp", "CLua", "CLinuxShims",
                .product(name: "Logging", package: "swift-log"),
            ] + nio, swiftSettings: house),
        .target(
            name: "Node",
            dependencies: [
                "SidecarProtocol", "Transport", "CLinuxShims",
                .product(name: "Logging", package: "swift-log"),
            ] + nio, swiftSettings: house),
        // A state's folder on a disk, for the sidecar and for `mesh state`.
        .target(name: "StateFiles", dependencies: ["SidecarProtocol"], swiftSettings: house),
        .target(
            name: "Launcher", dependencies: ["SidecarProtocol", "CNetlink", "CLinuxShims"],
            swiftSettings: house),
        .target(
            name: "MeshCommand",
            dependencies: [
                "SidecarProtocol", "StateFiles", "CLinuxShims",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: house),

        // The executables: mains of a few lines.
        .executableTarget(name: "mesh-launch", dependencies: ["Launcher"], swiftSettings: house),
        .executableTarget(name: "mesh-sidecar", dependencies: ["Sidecar"], swiftSettings: house),
        .executableTarget(name: "mesh-node", dependencies: ["Node"], swiftSettings: house),
        .executableTarget(name: "mesh", dependencies: ["MeshCommand"], swiftSettings: house),

        // Tests mirror the sources.
        // The simulator: another shell over the core, on virtual time.
        .target(
            name: "Simulator", dependencies: ["SidecarProtocol"], path: "Tests/Simulator",
            swiftSettings: house),
        .testTarget(
            name: "SimulationTests", dependencies: ["SidecarProtocol", "Simulator"],
            swiftSettings: house),
        .testTarget(
            name: "SidecarProtocolTests", dependencies: ["SidecarProtocol", "CSodium"],
            exclude: ["Transcripts"], swiftSettings: house),
        .testTarget(
            name: "TransportTests",
            dependencies: ["SidecarProtocol", "Transport"] + nio, swiftSettings: house),
        .testTarget(
            name: "SidecarTests",
            dependencies: [
                "Sidecar", "SidecarProtocol", "Simulator", "StateFiles", "Transport", "CLinuxShims",
                "mesh-sidecar",
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio, swiftSettings: house),
        // The state server behind a socket, for what drives it from outside.
        .executableTarget(
            name: "StateProbe", dependencies: ["SidecarProtocol"], path: "Tests/StateProbe",
            exclude: ["compare.py", "generate.py"], swiftSettings: house),
        // A policy of many rules, measured: Tests/Benchmarks/rules.
        .executableTarget(
            name: "PolicyProbe", dependencies: ["SidecarProtocol", "CLinuxShims"], path: "Tests/PolicyProbe",
            swiftSettings: house),
        // The simulator's world of replicas, measured: Tests/Benchmarks/simulation.
        .executableTarget(
            name: "ReplicaWorldProbe", dependencies: ["SidecarProtocol", "Simulator"],
            path: "Tests/ReplicaWorldProbe", swiftSettings: house),
        .executableTarget(
            name: "NodeTestClient", dependencies: ["SidecarProtocol", "Transport"] + nio,
            path: "Tests/NodeTestClient", swiftSettings: house),
        .testTarget(
            name: "NodeTests",
            dependencies: ["SidecarProtocol", "Node", "Transport", "mesh-node", "NodeTestClient"] + nio,
            swiftSettings: house),
        .testTarget(
            name: "UserlandStackTests",
            dependencies: ["Sidecar", "SidecarProtocol", "Transport", "CLinuxShims", "UserlandStackProbe"]
                + nio,
            exclude: ["liar.py", "world.py"], swiftSettings: house),
        // The stack's process and its sandbox, for the tests above.
        .executableTarget(
            name: "UserlandStackProbe", dependencies: ["Sidecar", "CLinuxShims", "UserlandStackAttack"],
            path: "Tests/UserlandStackProbe", swiftSettings: house),
        .target(name: "UserlandStackAttack", path: "Tests/UserlandStackAttack"),
        // Honest handshakes beside a flood, for Tests/Benchmarks/handshake-flood.
        .executableTarget(
            name: "HandshakeProbe", dependencies: ["SidecarProtocol", "Transport"] + nio,
            path: "Tests/HandshakeProbe", swiftSettings: house),
        // What each process may do, tried from inside.
        .testTarget(
            name: "ConfinementTests",
            dependencies: ["Sidecar", "Node", "Transport", "CLinuxShims", "ConfinementProbe"],
            swiftSettings: house),
        .executableTarget(
            name: "ConfinementProbe",
            dependencies: ["Sidecar", "Node", "Transport", "CLinuxShims", "ConfinementAttack"],
            path: "Tests/ConfinementProbe", swiftSettings: house),
        .target(
            name: "ConfinementAttack", dependencies: ["CLinuxShims"], path: "Tests/ConfinementAttack"),
        // The rules of the house, as tests.
        .testTarget(name: "TidyTests", swiftSettings: house),
        // The executable is built for the tests that run it.
        .testTarget(
            name: "LauncherTests", dependencies: ["Launcher", "SidecarProtocol", "mesh-launch"],
            exclude: ["Fixtures"], swiftSettings: house),
        // The built executables with real programs.
        .testTarget(
            name: "MeshTests",
            exclude: ["Control/otlp-collector.py", "Datapaths/probe-client.py", "Datapaths/probe-server.py"],
            swiftSettings: house),
        .testTarget(
            name: "MeshCommandTests",
            dependencies: [
                "MeshCommand", "SidecarProtocol", "Simulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["Snapshots/help.txt"], swiftSettings: house),
    ]
)
