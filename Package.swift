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

/// The cores are always optimised: property tests and torture run them millions of times, in debug builds too.
let optimised: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: optimised)
}

func module(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func program(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
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
        // Not for hosts: demonstrations, attacks and measurements on one machine.
        .executable(name: "evenkeel-lab", targets: ["evenkeel-lab"]),
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
        core("Fleet"),
        core("Balancing", ["Fleet"]),
        core("Coordination", ["Fleet", "Balancing"]),
        core("Simulation", ["Fleet", "Balancing", "Coordination"]),

        // The operating system: commands and blocking calls with a time limit, files, locks, signals, the clock.
        module("HostOS", ["Fleet", subprocess, systemPackage, unixSignals]),
        // Fleets, recordings and a service's local values in files: Foundation's JSON, and Ganeti's text format.
        module("FleetFiles", ["Fleet", "Coordination", "HostOS", log]),
        // The configuration file.
        module("Settings", ["Fleet", yams]),

        module("Hypervisor", ["Fleet"]),
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
        // Parses libvirt's XML: FoundationXML leaks on Linux whatever it parses. libvirt itself uses libxml2.
        .systemLibrary(name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        module("LibvirtXML", ["CLibXML2"]),
        module("LibvirtDriver", ["Fleet", "Hypervisor", "HostOS", "LibvirtXML", "CLibvirt", crypto]),
        module("Escort", ["Fleet", "HostOS"]),
        module("Ledger", ["Fleet", "HostOS", crypto, log]),
        // Keys, certificates (by the openssl command) and the signed roster.
        module("Identity", ["Fleet", "Ledger", "HostOS", log]),
        module(
            "HostAgent",
            [
                "Fleet", "FleetFiles", "Coordination", "Hypervisor", "Escort", "Identity", "Ledger", "HostOS",
                "Settings", log, crypto,
            ]
        ),
        module(
            "Controller",
            ["Fleet", "FleetFiles", "Balancing", "Coordination", "Ledger", "Settings", "HostOS", log]
        ),
        // The command line, as a library so that tests can import it.
        module(
            "EvenkeelCLI",
            [
                "Fleet", "Identity", "FleetFiles", "Balancing", "Coordination", "Simulation", "Ledger", "Settings",
                "Controller", "HostOS", "LibvirtXML", argumentParser, log,
            ]
        ),
        program("evenkeel", ["EvenkeelCLI", argumentParser]),
        program(
            "evenkeel-agent",
            [
                "Fleet", "HostAgent", "LibvirtDriver", "Escort", "Identity", "Ledger", "Settings", "HostOS",
                argumentParser, log,
            ]
        ),

        module(
            "Lab",
            ["Fleet", "Ledger", "Identity", "Escort", "Settings", "HostOS"],
            resources: [.embedInCode("Resources/guest.c")]
        ),
        program(
            "evenkeel-lab",
            [
                "EvenkeelCLI", "Lab", "Fleet", "Balancing", "Controller", "Coordination", "Ledger", "Settings",
                "HostOS", argumentParser,
            ]
        ),

        // The other processes in the ledger's tests, and its benchmark; not shipped.
        program("ledger-writer", ["Fleet", "Ledger", "HostOS"], path: "Benchmarks/ledger-writer"),
        // The planner's benchmark beside hbal (`make bench-planner`); not shipped.
        program(
            "planner-bench",
            ["Fleet", "FleetFiles", "Balancing", "HostOS", argumentParser],
            path: "Benchmarks/planner-bench"
        ),

        // In-memory hypervisors and ledger, sample values and recordings for the tests of several targets; not shipped.
        .target(
            name: "TestSupport",
            dependencies: ["Fleet", "Hypervisor", "Ledger", "Coordination", "FleetFiles", "Settings", "HostOS", log],
            path: "Tests/Support",
            swiftSettings: strict
        ),

        tests("FleetTests", ["Fleet", "TestSupport"]),
        tests("BalancingTests", ["Balancing", "Fleet"]),
        tests("CoordinationTests", ["Coordination", "Balancing", "Fleet", "TestSupport"]),
        tests("SimulationTests", ["Simulation", "Coordination", "Balancing", "Fleet"]),
        tests("FleetFilesTests", ["FleetFiles", "Coordination", "Fleet", "Settings", "TestSupport", log]),
        tests("HostOSTests", ["HostOS"]),
        tests("SettingsTests", ["Settings", "Fleet"]),
        tests("LedgerTests", ["Ledger", "Fleet", "HostOS", "TestSupport", "ledger-writer"]),
        tests("IdentityTests", ["Identity", "Ledger", "Fleet", "HostOS", log]),
        tests("EscortTests", ["Escort", "Identity", "Ledger", "Fleet", "HostOS"]),
        tests("HypervisorTests", ["Hypervisor", "Fleet", "TestSupport"]),
        tests("LibvirtXMLTests", ["LibvirtXML"]),
        tests("LibvirtDriverTests", ["Hypervisor", "LibvirtDriver", "HostOS", "Fleet", "TestSupport"]),
        tests(
            "HostAgentTests",
            [
                "HostAgent", "FleetFiles", "Hypervisor", "Ledger", "Identity", "Escort", "Fleet", "HostOS",
                "Coordination", "Settings", "TestSupport", log,
            ]
        ),
        tests(
            "ControllerTests",
            [
                "Balancing", "Controller", "Coordination", "FleetFiles", "HostOS", "Ledger", "Settings", "Fleet",
                "TestSupport", log,
            ]
        ),
        tests(
            "EvenkeelCLITests",
            [
                "EvenkeelCLI", "evenkeel", "evenkeel-agent", "evenkeel-lab", "Simulation", "Balancing", "Coordination",
                "Controller",
                "FleetFiles",
                "Identity", "Ledger", "Settings", "Fleet", "HostOS", "TestSupport", argumentParser,
            ],
            exclude: ["Golden"]
        ),
        tests("LabTests", ["Lab", "Fleet", "HostOS", "Settings"]),
        tests("EvenkeelLabTests", ["evenkeel-lab", "Lab", "Fleet", argumentParser], exclude: ["RecordedProbes"]),
        // What needs real daemons: run one after another.
        tests(
            "IntegrationTests",
            [
                "Lab", "Escort", "Identity", "Ledger", "Settings", "Fleet", "HostOS", "TestSupport", "evenkeel",
                "evenkeel-agent", "evenkeel-lab",
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)
