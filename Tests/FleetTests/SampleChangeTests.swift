// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import TestSupport
import Testing

struct SampleChangeTests {
    private static let begin = Instant(milliseconds: 1_700_000_000_000)

    private static func samples(_ count: Int, seed: UInt64, vms: Int = 6, onlyFigures: Bool = false) -> [LoadSample] {
        var samples = RandomSamples(of: "h1", vms: vms, seed: seed, onlyFigures: onlyFigures, from: begin)
        return (0..<count).map { _ in samples.next() }
    }

    private static func decoded(_ change: SampleChange) throws -> SampleChange {
        try JSONDecoder().decode(SampleChange.self, from: JSONEncoder().encode(change))
    }

    @Test(arguments: UInt64(1)...30) func `a change gives the sample back, whatever has changed`(seed: UInt64) throws {
        let samples = Self.samples(120, seed: seed)
        var changes = 0
        for (index, sample) in samples.enumerated() {
            for basis in samples[max(0, index - 12)..<index] {
                guard let change = SampleChange(of: sample, since: basis) else { continue }
                changes += 1
                #expect(try Self.decoded(change).applied(to: basis) == sample)
            }
        }
        #expect(changes > 50, "the test would show nothing")
    }

    @Test func `what a change cannot state is written whole`() throws {
        let basis = Self.samples(1, seed: 1)[0]
        func differs(_ change: (inout LoadSample) -> Void) -> Bool {
            var sample = basis
            change(&sample)
            return SampleChange(of: sample, since: basis) == nil
        }
        #expect(differs { $0.host = HostName("h2") })
        #expect(
            differs {
                $0.hypervisor = HypervisorFacts(
                    type: "x",
                    version: 1,
                    libvirtVersion: 1,
                    architecture: "x",
                    cpuModel: nil
                )
            }
        )
        #expect(differs { $0.channels = [] })
        #expect(differs { $0.takesNoOrdersBecause = "its disk is full" })
        #expect(differs { $0.failures = [SourceFailure(source: "cpu", reason: "gone")] })
        #expect(differs { $0.vms = nil })
        #expect(differs { $0.vms?.removeLast() })
        #expect(!differs { $0.vms?[0].state = .paused })
        #expect(!differs { $0.vms?[0].memoryBytes = nil })
        #expect(!differs { $0.cpu = nil })
    }

    @Test func `a change is refused on a sample with another number of VMs`() throws {
        let samples = Self.samples(2, seed: 1, onlyFigures: true)
        let change = try #require(SampleChange(of: samples[1], since: samples[0]))
        var other = samples[0]
        other.vms?.removeLast()
        #expect(change.applied(to: other) == nil)
        other.vms = nil
        #expect(change.applied(to: other) == nil)
    }

    @Test func `a change has a fraction of the bytes of the sample`() throws {
        let samples = Self.samples(2, seed: 1, vms: 30, onlyFigures: true)
        let change = try #require(SampleChange(of: samples[1], since: samples[0]))
        let (part, whole) = (try JSONEncoder().encode(change).count, try JSONEncoder().encode(samples[1]).count)
        #expect(part * 4 < whole, "\(part) of \(whole) bytes")
    }

    @Test func `only the figures of a VM are written, in a fixed order and without null at the end`() throws {
        var basis = LoadSample(host: HostName("h1"), at: Self.begin)
        basis.vms = (0..<5).map { VMSample(id: VMID("u\($0)"), name: "vm\($0)", state: .running, memoryBytes: 1024) }
        var sample = basis
        sample.vms?[1].cpuCores = 0.5
        sample.vms?[2].waitingCores = 0.25
        sample.vms?[3].memoryBytes = 2048
        sample.vms?[4].state = .shutOff
        let change = try #require(SampleChange(of: sample, since: basis))
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(change), as: UTF8.self)
        #expect(
            text == #"{"at":1700000000000,"vms":[[],[0.5],[null,0.25],[null,null,2048],"#
                + #"{"id":"u4","memoryBytes":1024,"name":"vm4","state":"shutOff"}]}"#
        )
        #expect(try Self.decoded(change).applied(to: basis) == sample)
    }
}
