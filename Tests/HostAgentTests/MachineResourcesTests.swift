// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import HostAgent

@Suite struct MachineResourcesTests {
    private let tree: FixtureTree
    private let machine: MachineResources

    init() throws {
        tree = try .machine()
        machine = MachineResources(proc: tree.path)
    }

    @Test func `user, nice, system and steal time count as busy`() throws {
        try tree.writeStat(user: 1000, nice: 100, system: 400, idle: 7000, steal: 50)
        let counter = try machine.cpu()
        #expect(counter.busySeconds == 15.5)
        #expect(counter.capacityCores == 2)
    }

    @Test func `waiting for a disk counts as idle`() throws {
        let before = try machine.cpu().busySeconds
        try tree.writeStat(user: 1000, idle: 5000, iowait: 4000)
        #expect(try machine.cpu().busySeconds == before)
    }

    @Test func `a malformed stat file is an error that names it`() throws {
        for text in ["", "cpu  1 2 3\ncpu0 1 2 3\n", "cpu  1 2 3 4 5 6 7 8 9 10\n"] {
            try tree.write(text, to: "stat")
            let error = #expect(throws: SourceError.self) { try machine.cpu() }
            #expect(error?.description.contains("\(tree.path)/stat") == true)
        }
    }

    @Test func `memory that is not available is used`() throws {
        #expect(
            try machine.memory()
                == MemoryLoad(totalBytes: 8 << 30, usedBytes: 2 << 30, availableBytes: 6 << 30)
        )
    }

    @Test func `meminfo without MemAvailable is an error, not a zero`() throws {
        try tree.write("MemTotal: 8388608 kB\nMemFree: 1 kB\n", to: "meminfo")
        let error = #expect(throws: SourceError.self) { try machine.memory() }
        #expect(error?.description.contains("MemAvailable") == true)
    }

    @Test func `the load averages are the first three figures`() throws {
        #expect(try machine.loadAverage() == LoadAverage(one: 0.5, five: 1.25, fifteen: 2))
        try tree.write("0.50\n", to: "loadavg")
        #expect(throws: SourceError.self) { try machine.loadAverage() }
    }

    @Test func `a kernel without PSI reports no pressure and no error`() throws {
        #expect(try machine.pressure() == nil)
    }

    @Test func `pressure is the 10 s average of the time that some task waited`() throws {
        let full = "full avg10=0.50 avg60=0.00 avg300=0.00 total=0\n"
        try tree.write("some avg10=12.34 avg60=5.00 avg300=1.00 total=123\n" + full, to: "pressure/cpu")
        try tree.write("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" + full, to: "pressure/io")
        #expect(try machine.pressure() == Pressure(cpu: 12.34, memory: nil, io: 0))
    }

    @Test func `the network counters are added up without the loopback`() throws {
        #expect(try NetworkCounter.read(proc: tree.path) == NetworkCounter(received: 6000, sent: 8000))
    }

    @Test func `a missing file is named with the reason`() throws {
        try tree.remove("meminfo")
        let error = #expect(throws: SourceError.self) { try machine.memory() }
        #expect(error?.description == "cannot open \(tree.path)/meminfo: No such file or directory")
    }
}
