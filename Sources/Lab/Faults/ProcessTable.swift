// SPDX-License-Identifier: Apache-2.0

/// The daemons of a lab at a moment: a daemon that ends without a fault breaks a rule, also if the lab restarts it.
struct ProcessTable: Sendable, Equatable {
    /// The main processes by daemon, such as `h1/agent`, `storage` or `controller`; not those that these started.
    var daemons: [String: Set<ProcessStat>]

    static let hostDaemons = ["agent", "libvirtd", "charon", "sshd"]

    init(_ daemons: [String: [ProcessStat]]) {
        self.daemons = daemons.mapValues { processes in
            // A child has the name of its parent until it executes its program.
            let ids = Set(processes.map(\.id))
            return Set(processes.filter { !ids.contains($0.parent) })
        }
    }

    /// Returns one line for each daemon that does not run.
    var missing: [String] { daemons.filter(\.value.isEmpty).keys.sorted().map { "\($0) does not run" } }

    /// Returns one line for each daemon of which a process has ended since; the fault may have ended its victims.
    func ended(by later: ProcessTable, except victims: Set<String> = []) -> [String] {
        daemons.filter { !victims.contains($0.key) }
            .compactMap { name, processes in
                let ended = processes.subtracting(later.daemons[name] ?? [])
                guard !ended.isEmpty else { return nil }
                return "\(name) ended by itself (process \(ended.map { "\($0.id)" }.sorted().joined(separator: ", ")))"
            }
            .sorted()
    }
}

extension FaultCell {
    /// The daemons that the fault ends, by their names in `ProcessTable`.
    func victims(from source: String, to target: String) -> Set<String> {
        guard action != .stop else { return [] }
        return switch component {
        case .sourceAgent: ["\(source)/agent"]
        case .targetAgent: ["\(target)/agent"]
        case .sourceLibvirtd: ["\(source)/libvirtd"]
        case .targetLibvirtd: ["\(target)/libvirtd"]
        case .sourceCharon: ["\(source)/charon"]
        case .targetCharon: ["\(target)/charon"]
        case .controller: ["controller"]
        case .storage: ["storage"]
        case .sourceHost: Set(ProcessTable.hostDaemons.map { "\(source)/\($0)" })
        case .targetHost: Set(ProcessTable.hostDaemons.map { "\(target)/\($0)" })
        case .sourceQEMU, .targetQEMU, .storageLink, .targetStorageLink, .link: []
        }
    }
}

extension HostLab {
    /// Returns the daemons that run now.
    func processTable() -> ProcessTable {
        var daemons: [String: [Int32]] = [:]
        for host in hosts {
            for name in ProcessTable.hostDaemons { daemons["\(host.name)/\(name)"] = host.processes(of: name) }
        }
        daemons["storage"] = LabStorage(site: site, cgroups: cgroups).processes
        daemons["controller"] = controllerProcesses
        return ProcessTable(daemons.mapValues { $0.compactMap(ProcessStat.of) })
    }
}
