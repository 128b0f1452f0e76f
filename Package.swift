// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// Every target: warnings are errors, imports are explicit, blocking work is moved off the caller knowingly.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
    name: "evenkeel",
    products: [
        .executable(name: "evenkeel", targets: ["evenkeel"]),
        .executable(name: "evenkeel-agent", targets: ["evenkeel-agent"]),
    ],
    dependencies: [
        // Command lines with help, validation and exit codes.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // The log interface of the Swift server world; agent and controller log through it.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // ECDSA, SHA-256 and AES-GCM: records are signed, rosters verified, and sealed images encrypted with it.
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // Starts swanctl, nft, ip, qemu-img and the lab's daemons; reaps them and tears them down on cancellation.
        // Its Foundation trait is off: nothing here needs it.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        // FilePath and FileDescriptor in swift-subprocess's interface.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        // SIGINT and SIGTERM as a sequence, so that they become task cancellation.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // The configuration file is YAML, so that it can carry comments.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Pure: no Foundation, no clock, no I/O (checked by `make lint`).
        module("Fleet"),
        module("Balancing", ["Fleet"]),
        module("Coordination", ["Fleet", "Balancing"]),
        module("Simulation", ["Fleet", "Balancing", "Coordination"]),

        // Fleets and recordings in files: Foundation's JSON, and the text format of Ganeti's htools.
        module("FleetFiles", ["Fleet", "Coordination", "Commands", log]),

        // External programs with a time limit, how this one is ended, and files replaced durably.
        module("Commands", [subprocess, systemPackage, unixSignals]),
        // The configuration file.
        module("Settings", ["Fleet", yams]),

        module("Hypervisor", ["Fleet"]),
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
        module("LibvirtDriver", ["Fleet", "Hypervisor", "CLibvirt", crypto]),
        module("Escort", ["Fleet", "Commands"]),
        module("Ledger", ["Fleet", crypto]),
        // Keys, certificates (by the openssl command) and the signed roster.
        module("Identity", ["Fleet", "Ledger", "Commands"]),
        module(
            "HostAgent",
            [
                "Fleet", "FleetFiles", "Coordination", "Hypervisor", "Escort", "Identity", "Ledger", "Commands",
                "Settings", log, crypto,
            ]
        ),
        module("Controller", ["Fleet", "FleetFiles", "Coordination", "Ledger", "Settings", log]),
        module(
            "Lab",
            ["Fleet", "Ledger", "Identity", "Escort", "Settings", "Commands"],
            resources: [.embedInCode("Resources/guest.c")]
        ),

        .executableTarget(
            name: "evenkeel",
            dependencies: [
                "Fleet", "Identity", "FleetFiles", "Balancing", "Coordination", "Simulation", "Ledger", "Settings",
                "Controller",
                "Lab",
                "Commands",
                argumentParser, log,
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "evenkeel-agent",
            dependencies: [
                "Fleet", "HostAgent", "LibvirtDriver", "Escort", "Identity", "Ledger", "Settings", "Commands",
                argumentParser,
                log,
            ],
            swiftSettings: strict
        ),

        // The other processes in the ledger's tests, and its benchmark; not shipped.
        .executableTarget(name: "ledger-writer", dependencies: ["Fleet", "Ledger"], swiftSettings: strict),

        // The planner's benchmark beside hbal (`make bench-planner`); not shipped.
        .executableTarget(
            name: "planner-bench",
            dependencies: ["Fleet", "FleetFiles", "Balancing", "Commands", argumentParser],
            swiftSettings: strict
        ),

        // Orders, reports and evidence for the tests of several targets; not shipped.
        .target(name: "FleetFixtures", dependencies: ["Fleet"], path: "Tests/FleetFixtures", swiftSettings: strict),

        tests("FleetTests", ["Fleet"]),
        tests("BalancingTests", ["Balancing", "Fleet"]),
        tests("PlanCommandTests", ["evenkeel", "Commands"]),
        tests("ChannelToolsTests", ["evenkeel", "Lab", "Fleet"]),
        tests("FleetFilesTests", ["FleetFiles", "Coordination", "Fleet", log]),
        tests("CoordinationTests", ["Coordination", "Balancing", "Fleet", "FleetFixtures"]),
        tests(
            "RecordingTests",
            [
                "Controller", "FleetFiles", "Coordination", "Ledger", "Settings", "Fleet", "FleetFixtures", "Commands",
                "evenkeel", log,
            ]
        ),
        tests("SimulationTests", ["Simulation", "Coordination", "Balancing", "Fleet"]),
        tests("SimulateCommandTests", ["evenkeel", "Simulation", "Coordination", "Fleet", "Commands"]),
        tests("LedgerTests", ["Ledger", "Fleet", "ledger-writer"]),
        tests("IdentityTests", ["Identity", "Ledger", "Fleet", "Commands"]),
        tests("EscortTests", ["Escort", "Identity", "Ledger", "Fleet", "Commands"]),
        tests("LedgerCommandTests", ["evenkeel", "Ledger", "Fleet", "FleetFixtures", "Commands"]),
        tests("HypervisorTests", ["Hypervisor", "LibvirtDriver", "Fleet"]),
        tests("SettingsTests", ["Settings", "Fleet"]),
        tests(
            "HostAgentTests",
            [
                "HostAgent", "FleetFiles", "Hypervisor", "Ledger", "Identity", "Escort", "Fleet", "Commands",
                "Coordination",
                "Settings", log,
            ]
        ),
        tests("LabTests", ["Lab", "Fleet", "Commands"]),
        tests("IntegrationTests", ["Lab", "Ledger", "Settings", "Fleet", "Commands"]),
    ],
    swiftLanguageModes: [.v6]
)
