// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import HostOS
internal import Identity
internal import Ledger
public import Settings

/// A cluster of one of the lab's hosts, whose VMs are simulated by libvirt's test driver.
///
/// It has its own ledger and controller: on the lab's ledger, the peers' observations would contradict the simulated
/// VMs. It has the lab's roster, and `HostLab.down` removes it too.
public struct SimulatedCluster: Sendable {
    public let lab: HostLab
    public let host: LabHost
    public let vms: Int

    private var daemon: Daemon { Daemon(cgroups: lab.cgroups, group: "simulated") }
    private var folder: String { "\(lab.site.stateFolder)/simulated" }
    private var nodeFile: String { "\(folder)/node.xml" }
    private var configurationFile: String { "\(folder)/controller.yaml" }
    public var ledgerFolder: String { "\(folder)/ledger" }
    public var controllerLog: String { "\(folder)/controller.log" }
    /// The controller's marks file; its other files begin with the same path.
    public var controllerMarks: String { "\(folder)/marks-controller.json" }

    /// Creates the ledger with the lab's roster, and the file from which the test driver reads the VMs.
    public static func make(in lab: HostLab, on host: LabHost, vms: Int) async throws -> SimulatedCluster {
        let cluster = SimulatedCluster(lab: lab, host: host, vms: vms)
        try Files.makeFolder(cluster.folder)
        try lab.cgroups.makeGroup("simulated")
        try Files.write(TestDriverNode(vms: vms).xml, to: cluster.nodeFile)
        try await SharedLog.create(folder: cluster.ledgerFolder)
        try await ClusterAuthority.open(folder: lab.site.clusterFolder).publish(to: cluster.ledgerFolder)
        return cluster
    }

    /// Starts the host's agent and the controller.
    ///
    /// The controller only advises, because the test driver cannot migrate.
    public func start(_ programs: Programs, settings: Settings) async throws {
        var own = settings
        own.inventory = Inventory(hosts: [host.inventoryEntry])
        own.ledger.folder = ledgerFolder
        own.policy.mode = .advise
        try await lab.startAgent(on: host, programs, settings: own, hypervisor: "test://\(nodeFile)")
        own.ledger.marks = controllerMarks
        try Files.write(own.documentedFile(), to: configurationFile)
        // A log of its own for each run: the previous one has the text that is waited for.
        try Files.remove(controllerLog)
        try await daemon.start([programs.evenkeel, "controller", "--config", configurationFile], log: controllerLog)
        try await waitUntil("the controller of \(host.name)", within: .seconds(30), log: controllerLog) {
            ((try? Files.text(controllerLog)) ?? "").contains("in control")
        }
    }

    /// Stops agent and controller; the ledger stays.
    public func stop() async throws {
        try await host.killAgent(signal: .terminate)
        try await daemon.endAll()
    }

    /// The controller's processes; empty if it does not run.
    public var controllerProcesses: [Int32] { daemon.processes(named: "evenkeel") }
}

/// A host of libvirt's test driver with running VMs, in the format of that driver.
struct TestDriverNode {
    var vms: Int

    var xml: String {
        let domains = (0..<max(0, vms)).map { number in
            """
              <domain type='test' xmlns:testdriver='http://libvirt.org/schemas/domain/test/1.0'>
                <name>simulated\(number + 1)</name>
                <uuid>5eaf00d2-0000-4000-8000-\(hexadecimal(UInt64(number + 1), digits: 12))</uuid>
                <memory unit='MiB'>16</memory><vcpu>1</vcpu><os><type>hvm</type></os>
                <testdriver:runstate>1</testdriver:runstate>
              </domain>

            """
        }
        return "<node>\n\(domains.joined())</node>\n"
    }
}
