// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

/// What the lab knows of processes before and after a fault.
struct ProcessTableTests {
    private static func process(_ id: Int32, parent: Int32 = 1, start: UInt64 = 7) -> ProcessStat {
        ProcessStat(id: id, parent: parent, startTicks: start)
    }

    private static let before = ProcessTable(["h1/agent": [process(10)], "h2/agent": [process(20)], "storage": []])

    @Test func `a daemon that ends without a fault is found, also if another one has its place or its id`() {
        #expect(Self.before.ended(by: Self.before).isEmpty)
        let restarted = ProcessTable(["h1/agent": [Self.process(11)], "h2/agent": [Self.process(20)]])
        #expect(Self.before.ended(by: restarted).count == 1)
        let sameID = ProcessTable(["h1/agent": [Self.process(10, start: 8)], "h2/agent": [Self.process(20)]])
        #expect(Self.before.ended(by: sameID).count == 1)
        #expect(Self.before.ended(by: ProcessTable([:])).count == 2)
    }

    @Test func `the victims of the fault may end, and no other daemon`() {
        let cell = FaultCell(.sourceAgent, .kill, .copying, .ipsec)
        let victims = cell.victims(from: "h1", to: "h2")
        let later = ProcessTable(["h1/agent": [], "h2/agent": [Self.process(20)]])
        #expect(Self.before.ended(by: later, except: victims).isEmpty)
        #expect(!Self.before.ended(by: ProcessTable([:]), except: victims).isEmpty)
        #expect(FaultCell(.sourceAgent, .stop, .copying, .ipsec).victims(from: "h1", to: "h2").isEmpty)
        #expect(FaultCell(.link, .stop, .copying, .ipsec).victims(from: "h1", to: "h2").isEmpty)
        let host = FaultCell(.targetHost, .kill, .copying, .ipsec).victims(from: "h1", to: "h2")
        #expect(host == ["h2/agent", "h2/libvirtd", "h2/charon", "h2/sshd"])
    }

    @Test func `a daemon that does not run is missing`() {
        #expect(Self.before.missing == ["storage does not run"])
    }

    @Test func `children that have the name of their parent do not count`() {
        let forked = ProcessTable(["h1/sshd": [Self.process(30), Self.process(31, parent: 30)]])
        #expect(forked.daemons["h1/sshd"] == [Self.process(30)])
    }

    @Test func `the stat of a process is read, whatever its name contains`() throws {
        let text = "77 (a (b) S 1) T 5 77 77 0 -1 4194560 9 0 0 0 250 50 30 20 20 0 9 0 4264601 3133440 381"
        let parsed = try #require(ProcessStat.parse(text))
        #expect(parsed.process == ProcessStat(id: 77, parent: 5, startTicks: 4_264_601))
        #expect(parsed.state == "T")
        #expect(ProcessStat.parse("77 (a) S 1") == nil)
    }

    @Test func `open pinholes are found in the list of the gates`() {
        let closed = """
            table inet evenkeel {
                set pinholes_lan_ip {
                    type ipv4_addr
                    flags timeout
                }
                set peers {
                    elements = { 10.77.0.1 }
                }
            }
            """
        #expect(HostLab.openPinholes(in: closed).isEmpty)
        let open = closed.replacing(
            "flags timeout",
            with: "flags timeout\n        elements = { 10.77.0.1 timeout 3m expires 2m59s }"
        )
        #expect(HostLab.openPinholes(in: open).count == 1)
    }

    @Test func `the end of an order is read from the fleet's status`() {
        func stage(_ move: String) -> FleetStatus.Stage {
            FleetStatus.stage(of: OrderID("o1"), in: #"{"moves": [\#(move)], "hosts": []}"#)
        }
        #expect(stage(#"{"order": {"id": "o1"}, "stage": "done"}"#) == .decided)
        #expect(stage(#"{"order": {"id": "o1"}, "stage": "failed", "failure": {"runsOn": "h1"}}"#) == .decided)
        #expect(
            stage(#"{"order": {"id": "o1"}, "stage": "failed", "failure": {"whereabouts": "unknown"}}"#) == .undecided
        )
        #expect(stage(#"{"order": {"id": "o1"}, "stage": "running"}"#) == .open)
        #expect(stage(#"{"order": {"id": "o2"}, "stage": "done"}"#) == .missing)
        #expect(FleetStatus.stage(of: OrderID("o1"), in: "") == .missing)
    }
}
