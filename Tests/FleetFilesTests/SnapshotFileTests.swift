// SPDX-License-Identifier: Apache-2.0
import Fleet
import FleetFiles
import Foundation
import Testing

struct SnapshotFileTests {
    static let text = """
        {
          "format": "evenkeel-snapshot",
          "version": 1,
          "at": 1000,
          "hosts": [
            {"name": "h1", "cores": 16, "memoryBytes": 68719476736, "ownMemoryBytes": 2147483648},
            {"name": "h2", "cores": 16, "cpus": 32, "memoryBytes": 68719476736, "mode": "maintenance"}
          ],
          "vms": [
            {"id": "a", "host": "h1", "cores": 2, "peakCores": 3, "memoryBytes": 4294967296, "vcpus": 2},
            {"id": "b", "host": "h1", "cores": 1, "memoryBytes": 4294967296, "vcpus": 2,
             "avoids": {"h2": "left it"}}
          ],
          "rules": [
            {"name": "r", "kind": "apart", "vms": ["a", "b"]}
          ],
          "paths": [
            {"source": "h1", "target": "h2", "bytesPerSecond": 1e8, "closed": true}
          ]
        }
        """

    @Test func `a snapshot is written and read back`() throws {
        let file = try SnapshotFile.read(Data(Self.text.utf8), name: "f")
        #expect(file.model.hosts.map(\.mode) == [.active, .maintenance] && file.model.hosts[0].cpus == 16)
        #expect(file.model.vms[0].peakCores == 3 && file.model.vms[1].avoids == [HostName("h2"): .stated("left it")])
        #expect(file.model.rules.first?.kind == .apart)
        let path = Path(source: HostName("h1"), target: HostName("h2"))
        #expect(file.model.bandwidths == [path: 1e8] && file.model.closedPaths == [path])
        #expect(try SnapshotFile.read(file.encoded(), name: "g").model == file.model)
    }

    @Test func `a snapshot keeps why a VM cannot move and why a host refused it`() throws {
        var model = try SnapshotFile.read(Data(Self.text.utf8), name: "f").model
        let reasons = try #require(CannotMove([.hypervisor(.snapshots(2))]))
        model.vms[0].staysBecause = .cannotMove(reasons)
        model.vms[1].avoids = [HostName("h2"): .refused(.host(.noBridge("br0")), secondsAgo: 60)]
        let read = try SnapshotFile.read(SnapshotFile(model: model).encoded(), name: "g").model
        #expect(read.vms[0].staysBecause == .stated("it cannot move: \(reasons.text)"))
        #expect(read.vms[1].avoids.values.map { "\($0)".contains("there is no bridge br0") } == [true])
    }

    @Test(arguments: [
        ("\"host\": \"h1\", \"cores\": 2", "\"host\": \"h9\", \"cores\": 2", 10, "not a host"),
        ("\"id\": \"b\"", "\"id\": \"a\"", 11, "twice"),
        ("\"name\": \"h2\"", "\"name\": \"h1\"", 7, "twice"),
        ("\"cores\": 1,", "\"cores\": -1,", 11, "negative"),
        (
            "\"memoryBytes\": 4294967296, \"vcpus\": 2}", "\"memoryBytes\": -5, \"vcpus\": 2}", 10,
            "memoryBytes of a is negative"
        ),
        ("\"peakCores\"", "\"peekCores\"", 10, "is unknown"),
        ("\"vms\": [\"a\", \"b\"]", "\"vms\": [\"a\", \"x\"]", 15, "not in this file"),
        ("\"kind\": \"apart\"", "\"kind\": \"asunder\"", 15, "one of together"),
        ("\"avoids\": {\"h2\"", "\"avoids\": {\"h7\"", 12, "not a host"),
        ("\"version\": 1", "\"version\": 2", 1, "its version is 2"),
        ("\"target\": \"h2\"", "\"target\": \"h3\"", 18, "h3, which is not in this file"),
        ("\"bytesPerSecond\": 1e8", "\"bytesPerSecond\": -1", 18, "negative"),
        ("\"cores\": 16, \"cpus\"", "\"cores\": 0, \"cpus\"", 7, "less than 0.001 cores"),
    ]) func `a bad value is refused with its line`(old: String, new: String, line: Int, reason: String) {
        let text = Self.text.replacing(old, with: new)
        #expect(text != Self.text)
        let error = #expect(throws: FleetFileError.self) { try SnapshotFile.read(Data(text.utf8), name: "f") }
        #expect(error?.line == line && error?.reason.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func `a truncated file is refused`() {
        let bytes = Data(Self.text.utf8)
        for length in 0..<bytes.count - 1 {
            #expect(throws: FleetFileError.self, "cut at \(length)") {
                try SnapshotFile.read(bytes.prefix(length), name: "f")
            }
        }
    }
}
