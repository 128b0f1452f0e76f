// SPDX-License-Identifier: Apache-2.0
import Fleet
import FleetFiles
import Testing

struct GanetiClusterTests {
    static let data = """
        group-01|uuid-1|preferred||

        node-a|65536|1024|32768|1000|1000|16|M|uuid-1|1
        node-b|65536|1024|57344|1000|1000|16|N|uuid-1|1
        node-c|65536|1024|65000|1000|1000|8|Y|uuid-1|1

        vm-1|16384|0|4|running|Y|node-a||ext|web:1|1
        vm-2|8192|0|2|running|Y|node-a||ext|web:1|1
        vm-3|4096|0|2|running|Y|node-b||plain||1
        vm-4|4096|0|2|ADMIN_down|Y|node-b||ext||1

        htools:iextags:web

        |128,1,1024,1,1,1||ext|4.0|1024.0

        """
    static let utilisation = "vm-1 0.5 0.25 0.1 0.2\nvm-2 0.125 0.125 0 0\n"

    @Test func `nodes, instances and utilisation are read`() throws {
        let cluster = try GanetiCluster(text: Self.data, name: "c", utilisation: Self.utilisation)
        let model = cluster.model
        #expect(model.hosts.map(\.name.rawValue) == ["node-a", "node-b", "node-c"])
        #expect(model.hosts.map(\.mode) == [.active, .active, .failed])
        #expect(model.hosts[0].own.memoryBytes == 8192 << 20, "total - free - VMs")
        #expect(model.hosts[0].capacity.cpuCores == 16 && model.hosts[2].capacity.cpuCores == 16)
        let vm = try #require(model.vms.first)
        #expect(vm.demand.cpuCores == 8 && vm.demand.memoryBytes == 16 << 30 && vm.vcpus == 4)
        #expect(model.vms[2].staysBecause == .localDisks(template: "plain"))
        #expect(model.vms[3].state == .shutOff && model.vms[3].demand.memoryBytes == 0)
        #expect(model.rules == [PlacementRule(name: "web:1", kind: .apart, vms: [VMID("vm-1"), VMID("vm-2")])])
    }

    @Test func `only the placement is written`() throws {
        let cluster = try GanetiCluster(text: Self.data, name: "c")
        #expect(cluster.text(placing: [:]) == Self.data)
        let moved = cluster.text(placing: [VMID("vm-2"): HostName("node-b")])
        #expect(moved.contains("node-a|65536|1024|40960|") && moved.contains("node-b|65536|1024|49152|"))
        #expect(moved.contains("vm-2|8192|0|2|running|Y|node-b||ext|web:1|1"))
        let again = try GanetiCluster(text: moved, name: "c")
        #expect(again.model.vms[1].host == HostName("node-b"))
        #expect(again.model.hosts[0].own == cluster.model.hosts[0].own)
    }

    @Test(arguments: [
        ("vm-2|8192|0|2|running|Y|node-a", "vm-2|8192|0|2|running|Y|node-x", 8, "not a node"),
        ("vm-2|8192", "vm-2|-8192", 8, "negative"),
        ("vm-2|8192", "vm-2|8x", 8, "not a whole number"),
        ("vm-2|8192", "vm-1|8192", 8, "twice"),
        ("node-b|65536", "node-a|65536", 4, "twice"),
        ("|16|N|uuid-1", "|16|N|uuid-2", 4, "not in the first section"),
        ("node-b|65536|1024|57344", "node-b|65536|1024|70000", 4, "more free memory"),
        ("node-a|65536|1024|32768", "node-a|65536|1024|60000", 3, "instances"),
        ("vm-1|16384|0|4|running|Y|node-a||ext|web:1|1", "vm-1|16384|0|4", 7, "cut off"),
        ("vm-1|16384", "vm-1|99999999999999999999", 7, "not a whole number"),
        ("vm-2|8192|0|2|running", "vm-2|8192|0|2|sleeping", 8, "status sleeping"),
        ("node-a||ext|web:1", "node-a||paper|web:1", 7, "template paper"),
    ]) func `a bad value is refused with its line`(old: String, new: String, line: Int, reason: String) throws {
        let text = Self.data.replacing(old, with: new)
        try #require(text != Self.data)
        let error = #expect(throws: FleetFileError.self) { try GanetiCluster(text: text, name: "c.data") }
        #expect(error?.line == line && error?.reason.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("vm-9 0 0 0 0", 1, "not an instance"), ("vm-1 0 0 0", 1, "has 4"), ("vm-1 0 -1 0 0", 1, "negative"),
        ("vm-1 0 0 0 0\nvm-1 0 0 0 0", 2, "twice"), ("vm-1 nan 0 0 0", 1, "not a number"),
    ]) func `bad utilisation is refused with its line`(text: String, line: Int, reason: String) {
        let error = #expect(throws: FleetFileError.self) {
            try GanetiCluster(text: Self.data, name: "c", utilisation: text, utilisationName: "u")
        }
        #expect(error?.file == "u" && error?.line == line)
        #expect(error?.reason.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func `running VMs without utilisation are named`() throws {
        let cluster = try GanetiCluster(text: Self.data, name: "c", utilisation: "vm-1 0.1 0.1 0 0\n")
        let named: Set = [VMID("vm-1")]
        let running = cluster.model.vms.filter { $0.state == .running }.map(\.id)
        #expect(Set(cluster.withoutUtilisation) == Set(running).subtracting(named))
        #expect(!cluster.withoutUtilisation.isEmpty)
        #expect(try GanetiCluster(text: Self.data, name: "c").withoutUtilisation.isEmpty)
    }

    @Test func `a truncated file is refused`() throws {
        // A cut before the fourth section is noticed, and no cut crashes the parser.
        let end = try #require(Self.data.ranges(of: "\n\nhtools").first).lowerBound
        for length in 0..<Self.data.distance(from: Self.data.startIndex, to: end) {
            #expect(throws: FleetFileError.self, "cut at \(length)") {
                try GanetiCluster(text: String(Self.data.prefix(length)), name: "c")
            }
        }
    }
}
