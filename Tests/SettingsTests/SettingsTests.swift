// SPDX-License-Identifier: Apache-2.0
import Fleet
import Settings
import Testing

struct SettingsTests {
    static let file = """
        # A comment.
        ledger:
          folder: /mnt/log   # on NFS
        policy:
          cpu:
            upper: 70%
            lower: 0.5
          cooldown: 10min
        hosts:
          - name: h1
            address: 10.0.0.1
            inner_address: 10.9.0.1
          - name: h2
            address: 10.0.0.2
            inner_address: 10.9.0.2
            libvirt_uri: qemu+ssh://h2/system
            mode: maintenance
        rules:
          - {name: web, kind: apart, vms: [web-1, web-2]}
          - name: licence
            kind: onlyOn
            vms: [db]
            hosts: [h1]
        """

    @Test func `settings that weaken security are reported`() throws {
        func weaknesses(_ file: String) throws -> [String] { try Settings.load(file: ("f.yaml", file)).weaknesses }
        #expect(try weaknesses(Self.file) == [])
        let keys = try weaknesses("escort:\n  psk_file: /etc/keys")
        #expect(keys.count == 1 && keys[0].contains("pre-shared keys") && keys[0].contains("cannot be revoked"))
        let unsigned = try weaknesses("ledger:\n  unsigned: true")
        #expect(unsigned.count == 1 && unsigned[0].contains("ledger.unsigned"))
    }

    @Test func `a file with comments is read`() throws {
        let settings = try Settings.load(file: ("f.yaml", Self.file))
        #expect(settings.ledger.folder == "/mnt/log")
        #expect(settings.policy.cpu == Thresholds(upper: 0.7, lower: 0.5))
        #expect(settings.policy.cooldown == .seconds(600))
        #expect(settings.policy.maintenance == [HostName("h2")])
        #expect(
            settings.policy.rules == [
                PlacementRule(name: "web", kind: .apart, vms: [VMID("web-1"), VMID("web-2")]),
                PlacementRule(name: "licence", kind: .onlyOn, vms: [VMID("db")], hosts: [HostName("h1")]),
            ]
        )
        #expect(settings.inventory.hosts.map(\.libvirtURI) == ["qemu+tls://h1/system", "qemu+ssh://h2/system"])
    }

    @Test func `each stream of the ledger has a retention of its own`() throws {
        let file = """
            ledger:
              retention:
                load: {age: 48h, size: 16MiB}
                reports:
                  size: 1GiB
            """
        let retention = try Settings.load(file: ("f.yaml", file)).ledger.retention
        #expect(retention.load == RetentionSettings.Stream(age: .seconds(48 * 3600), bytes: 16 << 20))
        #expect(retention.reports == RetentionSettings.Stream(age: .seconds(30 * 86400), bytes: 1 << 30))
        #expect(retention.orders == RetentionSettings().orders)
    }

    @Test func `a log may not have more files than its readers can list`() throws {
        func load(_ size: String) throws -> Settings {
            try Settings.load(file: nil, flags: ["ledger.segment_size=1MiB", "ledger.retention.reports.size=\(size)"])
        }
        #expect(throws: Never.self) { try load("900MiB") }
        let error = #expect(throws: SettingsError.self) { try load("1100MiB") }
        #expect(error?.key == "ledger.retention.reports.size")
    }

    @Test func `the planning settings are read`() throws {
        let settings = try Settings.load(
            file: nil,
            flags: [
                "policy.mode=advise", "policy.strategy=push-pull", "policy.aggressiveness=5",
                "policy.memory_limit=150%", "policy.vcpus_per_cpu=4", "policy.reserve_hosts=0",
                "policy.bandwidth=2.5Gbit", "policy.max_moves=7", "policy.weights.disk=0",
            ]
        )
        let planning = settings.policy.planning
        #expect(settings.policy.mode == .advise && planning.strategy == .pushPull && planning.aggressiveness == 5)
        #expect(planning.memoryLimit == 1.5 && planning.vcpusPerCPU == 4 && planning.reserveHosts == 0)
        #expect(planning.bandwidth == 312_500_000 && planning.maxMoves == 7 && planning.weights.disk == 0)
        #expect(try Settings.load(file: ("documented", settings.documentedFile())) == settings)
    }

    @Test func `flags override the environment, which overrides the file`() throws {
        let environment = ["EVENKEEL_POLICY_CPU_UPPER": "75%", "EVENKEEL_POLICY_COOLDOWN": "1min", "PATH": "/bin"]
        let settings = try Settings.load(
            file: ("f.yaml", Self.file),
            environment: environment,
            flags: ["policy.cpu.upper=90%"]
        )
        #expect(settings.policy.cpu.upper == 0.9)
        #expect(settings.policy.cooldown == .seconds(60))
        #expect(settings.policy.cpu.lower == 0.5)
    }

    @Test(arguments: [
        ("policy:\n  cpu:\n    uper: 1", "f.yaml:3", "policy.cpu.uper", "unknown key"),
        ("policy:\n  cpu:\n    upper: 120%", "f.yaml:3", "policy.cpu.upper", "not a share"),
        ("sampling:\n  interval: 5d", "f.yaml:2", "sampling.interval", "not a duration"),
        ("sampling:\n  interval: -5s", "f.yaml:2", "sampling.interval", "not a duration"),
        ("ledger:\n  folder: relative", "f.yaml:2", "ledger.folder", "not an absolute path"),
        ("ledger:\n  segment_size: 0MiB", "f.yaml:2", "ledger.segment_size", "not a size"),
        ("ledger: [1]", "f.yaml:1", "ledger", "mapping of keys"),
        ("ledger:\n  folder: [1]", "f.yaml:2", "ledger.folder", "single value"),
        ("policy:\n  moves_in_all: 0", "f.yaml:2", "policy.moves_in_all", "not a whole number from 1"),
        ("hosts:\n  - name: h1", "f.yaml:2", "hosts[0].address", "missing"),
        ("hosts:\n  - name: h1\n    colour: red", "f.yaml:3", "hosts[0].colour", "unknown key"),
        ("hosts: h1", "f.yaml:1", "hosts", "must be a list"),
        ("policy:\n  cpu:\n    upper: 50%", "f.yaml", "policy.cpu.lower", "above policy.cpu.upper"),
        ("policy:\n  overload_samples: 9", "f.yaml", "policy.overload_samples", "above policy.overload_window"),
        ("policy:\n  stale_after: 1s", "f.yaml", "policy.stale_after", "every host would be stale"),
        ("policy:\n  mode: auto", "f.yaml:2", "policy.mode", "not one of off, advise, manual, automatic"),
        ("policy:\n  aggressiveness: 6", "f.yaml:2", "policy.aggressiveness", "not a level"),
        ("policy:\n  bandwidth: 1000", "f.yaml:2", "policy.bandwidth", "not a bandwidth"),
        ("policy:\n  short_window: 2h", "f.yaml", "policy.short_window", "above policy.long_window"),
        ("rules:\n  - {name: a, kind: near, vms: [x, y]}", "f.yaml:2", "rules[0].kind", "not one of together"),
        ("rules:\n  - {name: a, kind: apart, vms: [x]}", "f.yaml:2", "rules[0].vms", "two VMs"),
        ("rules:\n  - {name: a, kind: onlyOn, vms: [x]}", "f.yaml:2", "rules[0].hosts", "at least one host"),
        ("rules:\n  - {name: a, kind: apart, vms: [x, {y: 1}]}", "f.yaml:2", "rules[0].vms", "a list of strings"),
        (
            "rules:\n  - {name: a, kind: neverOn, vms: [x], hosts: [h9]}", "f.yaml", "rules",
            "'h9', which is not in 'hosts'"
        ),
        (
            "hosts:\n  - {name: h1, address: a, inner_address: b, mode: down}", "f.yaml:2", "hosts[0].mode",
            "not active or maintenance"
        ),
        ("a: b: c", "f.yaml", "", "not valid YAML"),
    ])
    func `a bad value is refused with file, key and reason`(text: String, origin: String, key: String, reason: String) {
        do {
            _ = try Settings.load(file: ("f.yaml", text))
            Issue.record("it was accepted")
        } catch {
            #expect(error.origin == origin && error.key == key)
            #expect(error.reason.contains(reason), "\(error)")
        }
    }

    @Test(arguments: [
        ("qemu+tcp://10.0.0.1/system", false), ("qemu+tcp://10.9.0.1/system", true),
        ("qemu+tcp://10.9.0.1:16509/system", true),
        ("qemu+tcp://10.9.0.11/system", false), ("xen+tcp://h1/system", false), ("qemu+tls://h1/system", true),
    ])
    func `libvirt in the clear is refused`(uri: String, isFine: Bool) {
        let text = "hosts:\n  - {name: h1, address: 10.0.0.1, inner_address: 10.9.0.1, libvirt_uri: '\(uri)'}"
        let settings = try? Settings.load(file: ("f.yaml", text))
        #expect((settings != nil) == isFine)
    }

    @Test func `the removed key escort.ipsec_mode is rejected wherever it is set`() {
        let reason = "transport mode was removed; every host uses tunnel mode. Remove this setting."
        func expectError(_ origin: String, _ key: String, _ load: () throws -> Settings) {
            let error = #expect(throws: SettingsError.self) { _ = try load() }
            #expect(error == SettingsError(origin: origin, key: key, reason: reason))
        }
        for mode in ["tunnel", "transport"] {
            expectError("f.yaml:2", "escort.ipsec_mode") {
                try Settings.load(file: ("f.yaml", "escort:\n  ipsec_mode: \(mode)"))
            }
            expectError("environment", "EVENKEEL_ESCORT_IPSEC_MODE") {
                try Settings.load(file: nil, environment: ["EVENKEEL_ESCORT_IPSEC_MODE": mode])
            }
            expectError("--set", "escort.ipsec_mode") {
                try Settings.load(file: nil, flags: ["escort.ipsec_mode=\(mode)"])
            }
        }
    }

    @Test func `a host that is listed twice is refused`() {
        let text =
            "hosts:\n" + String(repeating: "  - {name: h1, address: 10.0.0.1, inner_address: 10.9.0.1}\n", count: 2)
        #expect(throws: SettingsError.self) { try Settings.load(file: ("f.yaml", text)) }
    }

    @Test func `unknown variables and flags are refused`() {
        #expect(throws: SettingsError.self) { try Settings.load(file: nil, environment: ["EVENKEEL_POLICI": "1"]) }
        #expect(throws: SettingsError.self) { try Settings.load(file: nil, flags: ["policy.cpu"]) }
        #expect(throws: SettingsError.self) { try Settings.load(file: nil, flags: ["nothing=1"]) }
    }

    @Test func `the documented file parses to the same settings`() throws {
        let settings = try Settings.load(file: ("f.yaml", Self.file))
        let again = try Settings.load(file: ("documented", settings.documentedFile()))
        #expect(again == settings)
        let defaults = try Settings.load(file: ("documented", Settings().documentedFile()))
        #expect(defaults == Settings())
    }

    @Test(arguments: [
        "policy.cpu.upper=80.5%", "policy.cpu.upper=0.8125001", "policy.bandwidth=1.1Gbit", "policy.bandwidth=0.3Mbit",
        "policy.bandwidth=7.77Gbit", "policy.memory_limit=133.3%", "policy.cooldown=1500ms", "policy.weights.cpu=0.001",
        "hypervisor.uri=xen:///", "ledger.folder=/a folder: with #signs \"and\" 'quotes'\\\t",
        "sampling.cgroup=- [x]: {y}",
    ])
    func `the documented file gives every value exactly`(flag: String) throws {
        let settings = try Settings.load(file: nil, flags: [flag])
        #expect(settings != Settings())
        #expect(try Settings.load(file: ("documented", settings.documentedFile())) == settings)
    }

    @Test func `channels are a list without plain`() throws {
        func channels(_ file: String, _ flags: [String] = []) throws -> [Channel] {
            try Settings.load(file: ("f.yaml", file), flags: flags).policy.channels
        }
        #expect(try channels("") == [.ipsec])
        #expect(try channels("policy:\n  channels: [tls, ipsec+tls]") == [.tls, .ipsecTLS])
        #expect(try channels("policy:\n  channels: ssh") == [.ssh])
        #expect(try channels("", ["policy.channels=sealed, ipsec"]) == [.sealed, .ipsec])
        let settings = try Settings.load(file: nil, flags: ["policy.channels=ipsec+tls,tls"])
        #expect(settings.documentedFile().contains("  channels: [ipsec+tls, tls]"))
        #expect(try Settings.load(file: ("documented", settings.documentedFile())) == settings)
        for wrong in ["plain", "ipsec,plain", "ipsec,ipsec", "wire", "", "ipsec,"] {
            #expect(throws: SettingsError.self) { try channels("", ["policy.channels=\(wrong)"]) }
        }
        #expect(throws: SettingsError.self) { try channels("policy:\n  channels: [[ipsec]]") }
        #expect(throws: SettingsError.self) { try channels("policy:\n  cooldown: [1min]") }
    }

    @Test func `the documented file quotes names that YAML would misread`() throws {
        let names = ["a: b", "#1", "x, y", "{z}", "-", "it's", "\"q\"", "é", "1:2", "a://b"]
        let rules = names.map {
            "  - {name: '\($0.replacing("'", with: "''"))', kind: apart, vms: ['\(names[0])', '\(names[1])']}"
        }
        let text = "rules:\n" + rules.joined(separator: "\n")
        let settings = try Settings.load(file: ("f.yaml", text))
        #expect(settings.policy.rules.map(\.name) == names)
        #expect(try Settings.load(file: ("documented", settings.documentedFile())) == settings)
    }

    @Test func `every key is documented`() {
        let text = Settings().documentedFile()
        for key in SettingKey.all { #expect(text.contains(key.meaning) && text.contains(key.variable)) }
    }
}
