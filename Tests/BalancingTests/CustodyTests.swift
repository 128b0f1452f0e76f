// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Balancing

/// Which of several hosts that list a VM as running has it according to the records.
struct CustodyTests {
    private let vm1 = VMID("vm1")
    private let h1 = HostName("h1")
    private let h2 = HostName("h2")
    private let h3 = HostName("h3")

    /// Lets the hosts write samples that list the VM in these states, every ten seconds.
    private func list(
        _ custody: inout Custody,
        _ seconds: ClosedRange<Int>,
        _ states: [HostName: VMState?]
    ) {
        for second in stride(from: seconds.lowerBound, through: seconds.upperBound, by: 10) {
            for (host, state) in states.sorted(by: { $0.key < $1.key }) {
                let vms = state.map { [VMSample(id: vm1, name: "vm1", state: $0)] } ?? []
                custody.take(LoadSample(host: host, at: .second(second), vms: vms), at: .second(second))
            }
        }
    }

    @Test func `a VM belongs to the host that has listed it before the others`() {
        for (name, claimant) in [(h1, h2), (h2, h1)] {
            var custody = Custody()
            list(&custody, 0...60, [name: .running, claimant: nil])
            list(&custody, 70...80, [name: .running, claimant: .running])
            #expect(custody.holder(of: vm1, among: [h1, h2]) == name)
        }
    }

    @Test func `an owner that starts its VM after another host has claimed it has it`() {
        var custody = Custody()
        list(&custody, 0...60, [h1: .shutOff, h2: nil])
        list(&custody, 70...200, [h1: .shutOff, h2: .running])
        list(&custody, 210...220, [h1: .running, h2: .running])
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h1)
    }

    @Test func `claims that began together, or that no earlier sample contradicts, decide nothing`() {
        var together = Custody()
        list(&together, 0...60, [h1: nil, h2: nil])
        list(&together, 70...70, [h1: .running])
        list(&together, 80...200, [h1: .running, h2: .running])
        #expect(together.holder(of: vm1, among: [h1, h2]) == nil)
        var unknown = Custody()
        list(&unknown, 0...200, [h1: .running])
        list(&unknown, 210...400, [h1: .running, h2: .running])
        #expect(unknown.holder(of: vm1, among: [h1, h2]) == nil, "h2 may have had it all along")
    }

    @Test func `a host that did not list the VM in between has to begin anew`() {
        var custody = Custody()
        list(&custody, 0...100, [h1: .running, h2: nil])
        list(&custody, 110...110, [h1: nil, h2: .running])
        list(&custody, 120...300, [h1: .running, h2: .running])
        #expect(custody.holder(of: vm1, among: [h1, h2]) == nil)
    }

    /// An operator may have started it elsewhere, because its host was thought to be lost.
    @Test func `a claim that began while the other host was silent decides nothing`() {
        for silence in [500, 700] {
            var custody = Custody()
            list(&custody, 0...100, [h1: .running, h2: nil])
            list(&custody, 110...(100 + silence - 10), [h2: .running])
            list(&custody, (100 + silence)...1000, [h1: .running, h2: .running])
            #expect(custody.holder(of: vm1, among: [h1, h2]) == (silence < 600 ? h1 : nil))
        }
    }

    @Test func `a list that libvirt did not give changes nothing`() {
        var custody = Custody()
        list(&custody, 0...100, [h1: .running, h2: nil])
        custody.take(LoadSample(host: h1, at: .second(105)), at: .second(105))
        list(&custody, 110...120, [h1: .running, h2: .running])
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h1)
    }

    @Test func `an order that was done gives the VM to its target, until the target no longer lists it`() {
        var custody = Custody()
        list(&custody, 0...100, [h1: .running, h2: nil, h3: nil])
        list(&custody, 110...120, [h1: .running, h2: .running, h3: nil])
        custody.arrive(vm1, on: h2, at: .second(120))
        list(&custody, 130...200, [h1: .running, h2: .running, h3: .running])
        #expect(custody.holder(of: vm1, among: [h1, h2, h3]) == h2, "h1 has given it away")
        list(&custody, 210...210, [h2: nil])
        list(&custody, 220...400, [h1: .running, h2: .running, h3: .running])
        #expect(custody.holder(of: vm1, among: [h2, h3]) == h3, "h2 has begun anew")
    }

    @Test func `a move that began and failed may have completed at its target`() {
        var custody = Custody()
        list(&custody, 0...100, [h1: .running, h2: nil, h3: nil])
        custody.fail(vm1, to: h2, at: .second(100))
        list(&custody, 110...200, [h1: .running, h2: .running, h3: .running])
        #expect(custody.holder(of: vm1, among: [h1, h2]) == nil)
        #expect(custody.holder(of: vm1, among: [h1, h3]) == h1, "h3 was not part of the move")
        custody.arrive(vm1, on: h1, at: .second(250))
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h1, "an operator has stated it")
    }

    @Test func `old failures and the orders of VMs that are gone are forgotten`() {
        var custody = Custody()
        list(&custody, 0...100, [h1: .running, h2: nil])
        custody.fail(vm1, to: h2, at: .second(100))
        list(&custody, 110...200, [h1: .running, h2: .running])
        custody.forget(before: .second(101)) { _ in false }
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h1)
        custody.arrive(vm1, on: h2, at: .second(110))
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h2)
        custody.forget(before: .second(101)) { _ in true }
        #expect(custody.holder(of: vm1, among: [h1, h2]) == h1)
    }
}
