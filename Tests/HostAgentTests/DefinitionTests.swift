// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS
import Hypervisor
import Ledger
import TestSupport
import Testing

@testable import HostAgent

/// The copies that an agent keeps of its VMs' definitions.
@Suite(.timeLimit(.minutes(1))) struct DefinitionTests {
    private static let day: Duration = .seconds(86_400)
    private let start = Instant(milliseconds: 1_795_687_216_000)
    private let world = InMemoryWorld.sample()
    private let log = LogCapture()
    private let key = SigningKey()
    private let other = VMID("bbbbbbbb-0000-4000-8000-00000000000b")

    init() { world.place(.testVM(), on: h1) }

    private func with(_ body: (String) async throws -> Void) async throws {
        try await withFolder { parent in
            try await SharedLog.create(folder: "\(parent)/ledger")
            try await body("\(parent)/ledger")
        }
    }

    private func upkeep(_ ledger: String, _ host: HostName = h1, key: SigningKey? = nil) -> DefinitionUpkeep {
        let own = OwnDefinitions(inLedger: ledger, host: host, signedBy: key ?? self.key)
        return DefinitionUpkeep(own, of: world.hypervisor(of: host), logger: log.logger(host.rawValue))
    }

    private func copy(_ ledger: String, _ id: VMID = vm, _ host: HostName = h1) -> DefinitionCopy? {
        try? DefinitionFolder(inLedger: ledger).copy(of: id, by: host, signedBy: [key.verification])
    }

    /// Two hours after the start of the agent, whose clock has not stepped.
    private func time(_ now: Instant) -> UpdateTime { UpdateTime(now: now, uptime: .seconds(7200)) }

    /// Dates the file of a copy, as if the storage had written it then.
    private func date(_ path: String, _ time: Instant) throws {
        let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
    }

    private func files(_ ledger: String, _ host: HostName = h1) throws -> [VMID] {
        try DefinitionFolder(inLedger: ledger).vms(of: host).vms
    }

    private func file(_ ledger: String, _ id: VMID = vm) -> String { "\(ledger)/definitions/h1/\(id).json" }

    @Test func `the definition of every persistent VM is stored, running or not`() async throws {
        world.place(.testVM(other, name: "db1"), on: h1, as: .inactive)
        world.place(.testVM(VMID("cccccccc"), name: "transient"), on: h1, isTransient: true)
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            #expect(try files(ledger) == [vm, other])
            let copy = try #require(self.copy(ledger))
            #expect(copy.host == h1 && copy.at == start && copy.goneSince == nil)
            let present = try await world.hypervisor(of: h1).definitions().definitions
            #expect(copy.definition == present.first { $0.id == vm })
            #expect(log.count("definitions") == 0)
        }
    }

    @Test func `a file is written again only when something has changed`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            await upkeep.turn(at: start + .seconds(60))
            #expect(copy(ledger)?.at == start)
            try await world.hypervisor(of: h1).setAutostart(of: vm, to: true)
            await upkeep.turn(at: start + .seconds(120))
            #expect(copy(ledger)?.at == start + .seconds(120))
            #expect(copy(ledger)?.definition.startsWithHost == true)
            // A new run of the agent finds its files.
            var next = self.upkeep(ledger)
            await next.turn(at: start + .seconds(180))
            #expect(copy(ledger)?.at == start + .seconds(120))
        }
    }

    @Test func `a removed file is written again, and an altered one after a restart`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            try FileManager.default.removeItem(atPath: file(ledger))
            await upkeep.turn(at: start + .seconds(60))
            #expect(copy(ledger)?.at == start + .seconds(60))
            try Data("forged".utf8).write(to: URL(filePath: file(ledger)))
            var next = self.upkeep(ledger)
            await next.turn(at: start + .seconds(120))
            #expect(copy(ledger)?.at == start + .seconds(120))
        }
    }

    @Test func `the copy of a VM that has left is kept for 30 days`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            world.place(.testVM(), on: h1, as: .absent)
            await upkeep.turn(at: start + .seconds(60))
            #expect(copy(ledger)?.goneSince == start + .seconds(60) && copy(ledger)?.at == start)
            // The time counts from then on, also across a restart.
            var next = self.upkeep(ledger)
            try date(file(ledger), .now - Self.day * 31)
            let later = start + .seconds(60) + Self.day * 30
            await next.turn(at: later - .seconds(3601), uptime: .zero)
            await next.turn(at: later - .seconds(1), uptime: .seconds(3600))
            #expect(copy(ledger)?.goneSince == start + .seconds(60))
            await next.turn(at: later, uptime: .seconds(3601))
            let left = try files(ledger)
            #expect(left.isEmpty)
        }
    }

    @Test func `nothing is removed in the first hour of an agent, or before the storage's clock has counted 30 days`()
        async throws
    {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            world.place(.testVM(), on: h1, as: .absent)
            await upkeep.turn(at: start + .seconds(60))
            // The clock of this host is a year ahead.
            let ahead = start + Self.day * 365
            var next = self.upkeep(ledger)
            try date(file(ledger), .now - Self.day * 400)
            await next.turn(at: ahead, uptime: .zero)
            await next.turn(at: ahead + .seconds(3599), uptime: .seconds(3599))
            #expect(copy(ledger) != nil, "in the first hour")
            try date(file(ledger), .now - Self.day * 29)
            await next.turn(at: ahead + .seconds(3601), uptime: .seconds(3601))
            #expect(copy(ledger) != nil, "the storage has had it for 29 days")
            try date(file(ledger), .now - Self.day * 31)
            await next.turn(at: ahead + .seconds(3602), uptime: .seconds(3602))
            #expect(copy(ledger) == nil)
        }
    }

    @Test func `times that a clock far behind has written are corrected when it is set`() async throws {
        try await with { ledger in
            var earlier = upkeep(ledger)
            await earlier.turn(at: start - Self.day)
            // The definition was lost in a power cut, and the clock begins in 2000.
            world.place(.testVM(), on: h1, as: .absent)
            let wrong = Instant(milliseconds: 946_684_800_000)
            var next = upkeep(ledger)
            await next.turn(at: wrong, uptime: .zero)
            #expect(copy(ledger)?.goneSince == wrong)
            await next.turn(at: start + .seconds(60), uptime: .seconds(60))
            #expect(copy(ledger)?.goneSince == start)
            await next.turn(at: start + .seconds(7200), uptime: .seconds(7200))
            #expect(copy(ledger)?.goneSince == start)
        }
    }

    @Test func `times that a clock far ahead has written are corrected when it is set`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start + Self.day * 365, uptime: .zero)
            await upkeep.turn(at: start + .seconds(60), uptime: .seconds(60))
            #expect(copy(ledger)?.at == start)
        }
    }

    @Test func `a copy from the future of an earlier run is written again, once the clock counts`() async throws {
        try await with { ledger in
            var earlier = upkeep(ledger)
            await earlier.turn(at: start + Self.day * 365)
            var next = upkeep(ledger)
            await next.turn(at: start, uptime: .zero)
            #expect(copy(ledger)?.at == start + Self.day * 365, "the clock may be behind")
            await next.turn(at: start + .seconds(600), uptime: .seconds(600))
            #expect(copy(ledger)?.at == start + .seconds(600))
        }
    }

    @Test func `a file that cannot be written costs only its own copy`() async throws {
        world.place(.testVM(other, name: "db1"), on: h1, as: .inactive)
        try await with { ledger in
            // A folder in the place of the first VM's file.
            try FileManager.default.createDirectory(
                atPath: "\(file(ledger))/x",
                withIntermediateDirectories: true
            )
            var upkeep = upkeep(ledger)
            for minute in 0..<3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(copy(ledger, other)?.at == start)
            #expect(log.count("cannot store the definitions of all VMs") == 1)
        }
    }

    @Test func `a folder with too many files stops no copy`() async throws {
        try await with { ledger in
            let folder = "\(ledger)/definitions/h1"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for number in 0...10_000 { try Data().write(to: URL(filePath: "\(folder)/\(number).json")) }
            var upkeep = upkeep(ledger)
            for minute in 0..<3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(copy(ledger)?.at == start)
            #expect(log.count("too many files") == 1)
        }
    }

    @Test func `an agent keeps signed copies of its host's VMs`() async throws {
        try await with { ledger in
            let fleet = TestFleet(world: world)
            try await fleet.run([h1], definitions: { OwnDefinitions(inLedger: ledger, host: $0, signedBy: key) }) {
                try await eventually("the copy is stored") { copy(ledger) != nil }
            }
            #expect(copy(ledger)?.definition.id == vm && copy(ledger)?.host == h1)
        }
    }

    @Test func `a VM that is back has its copy again`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            world.place(.testVM(), on: h1, as: .absent)
            await upkeep.turn(at: start + Self.day)
            world.place(.testVM(), on: h1)
            await upkeep.turn(at: start + Self.day * 2)
            #expect(copy(ledger)?.goneSince == nil && copy(ledger)?.at == start + Self.day * 2)
        }
    }

    @Test func `the files of other hosts are left alone`() async throws {
        try await with { ledger in
            world.place(.testVM(other, name: "db1"), on: h2)
            let foreign = SigningKey()
            var its = upkeep(ledger, h2, key: foreign)
            await its.turn(at: start)
            world.place(.testVM(other, name: "db1"), on: h1, as: .inactive)
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            await upkeep.turn(at: start + Self.day * 60)
            let copy = try DefinitionFolder(inLedger: ledger).copy(
                of: other,
                by: h2,
                signedBy: [foreign.verification]
            )
            #expect(copy.at == start && copy.goneSince == nil)
            #expect(try files(ledger) == [vm, other])
        }
    }

    @Test func `a file that this host did not sign is not signed, and is reported once`() async throws {
        try await with { ledger in
            var earlier = upkeep(ledger, key: SigningKey())
            await earlier.turn(at: start)
            let before = try Data(contentsOf: URL(filePath: file(ledger)))
            world.place(.testVM(), on: h1, as: .absent)
            var upkeep = upkeep(ledger)
            for minute in 0..<3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(try Data(contentsOf: URL(filePath: file(ledger))) == before)
            #expect(log.count("files of other VMs that its present key did not sign (1)") == 1)
        }
    }

    @Test func `trouble with the storage is logged once, and nothing is lost`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            try FileManager.default.moveItem(atPath: ledger, toPath: "\(ledger).away")
            try FileManager.default.createDirectory(atPath: ledger, withIntermediateDirectories: false)
            for minute in 1...3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(log.count("cannot store the definitions of all VMs") == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: ledger) == [])
            try FileManager.default.removeItem(atPath: ledger)
            try FileManager.default.moveItem(atPath: "\(ledger).away", toPath: ledger)
            await upkeep.turn(at: start + .seconds(300))
            #expect(copy(ledger)?.at == start)
            #expect(log.count("stored again") == 1)
        }
    }

    @Test func `a hypervisor that does not answer is no reason to call its VMs gone`() async throws {
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            world.change(h1) { $0.answers = false }
            for minute in 1...3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(copy(ledger)?.goneSince == nil)
            #expect(log.count("cannot store the definitions of all VMs") == 1)
        }
    }

    @Test func `a definition that cannot be read costs only its own copy, and is logged once`() async throws {
        world.place(.testVM(other, name: "db1"), on: h1, as: .inactive)
        try await with { ledger in
            var upkeep = upkeep(ledger)
            await upkeep.turn(at: start)
            let before = copy(ledger)
            world.change(h1) { $0.unreadableDefinitions = [vm] }
            let third = VMID("cccccccc-0000-4000-8000-00000000000c")
            world.place(.testVM(third, name: "new1"), on: h1)
            for minute in 1...3 { await upkeep.turn(at: start + .seconds(60 * minute)) }
            #expect(copy(ledger, third)?.definition.name == "new1" && copy(ledger, other)?.goneSince == nil)
            #expect(before != nil && copy(ledger) == before, "the VM is not gone")
            #expect(log.count("cannot store the definitions of all VMs") == 1)
            world.change(h1) { $0.unreadableDefinitions = [] }
            await upkeep.turn(at: start + .seconds(240))
            #expect(log.count("the definitions of all VMs are stored again") == 1)
        }
    }

    @Test func `many definitions that cannot be read are counted`() async throws {
        try await with { ledger in
            let own = OwnDefinitions(inLedger: ledger, host: h1, signedBy: nil)
            let unreadable = (1...9).map {
                PersistentDefinitions.Unreadable(id: VMID("\($0)"), name: "vm\($0)", reason: "no such file")
            }
            let update = try own.update(nil, to: PersistentDefinitions([], unreadable: unreadable), at: time(start))
            #expect(update.copies.isEmpty && update.problems.count == 4)
            #expect(update.problems.last == "6 other definitions cannot be read, either")
        }
    }

    @Test func `number and size of the copies are limited`() async throws {
        try await with { ledger in
            let own = OwnDefinitions(inLedger: ledger, host: h1, signedBy: nil)
            func definitions(_ numbers: Range<Int>, _ xml: String = "<domain/>") -> PersistentDefinitions {
                PersistentDefinitions(
                    numbers.map {
                        VMDefinition(
                            id: VMID("\(1000 + $0)"),
                            name: "vm\($0)",
                            xml: xml,
                            digest: nil,
                            startsWithHost: false
                        )
                    }
                )
            }
            let large = definitions(0..<1, String(repeating: "x", count: DefinitionFolder.largestXML + 1))
            var update = try own.update(nil, to: large, at: time(start))
            #expect(update.copies.isEmpty && update.problems.count == 1)
            // One update changes a limited number of files.
            update = try own.update(nil, to: definitions(0..<150), at: time(start))
            #expect(update.copies.count == OwnDefinitions.changesPerUpdate)
            update = try own.update(update.copies, to: definitions(0..<150), at: time(start))
            #expect(update.copies.count == 150)

            let tooMany = definitions(0..<(DefinitionFolder.copiesPerHost + 1))
            #expect(try own.update(update.copies, to: tooMany, at: time(start)).problems.count == 1)
        }
    }

    @Test func `if there are too many copies, those of the VMs that left first are removed`() {
        let own = OwnDefinitions(inLedger: "/nonexistent", host: h1, signedBy: nil)
        func definition(_ number: Int) -> VMDefinition {
            VMDefinition(id: VMID("\(number)"), name: "vm", xml: "<domain/>", digest: nil, startsWithHost: false)
        }
        func copy(_ number: Int) -> DefinitionCopy {
            let gone = start - .seconds(number)
            return DefinitionCopy(host: h1, at: gone, goneSince: gone, definition: definition(number))
        }
        let limit = DefinitionFolder.copiesPerHost
        let copies = Dictionary(uniqueKeysWithValues: (1...limit).map { (VMID("\($0)"), copy($0)) })
        let new = definition(limit + 1)
        let changes = own.changes(from: copies, to: [new], defined: [new.id], at: time(start))
        let written = DefinitionCopy(host: h1, at: start, definition: new)
        #expect(changes == [.write(written), .remove(VMID("\(limit)"), .number)])
    }
}

extension DefinitionUpkeep {
    /// Compares at a time by a clock that has not stepped since the tests' start.
    fileprivate mutating func turn(at now: Instant) async {
        await turn(at: now, uptime: now - Instant(milliseconds: 1_795_687_216_000))
    }
}
