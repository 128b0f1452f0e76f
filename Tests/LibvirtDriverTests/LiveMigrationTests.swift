// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Hypervisor
import Synchronization
import Testing

@testable import LibvirtDriver

/// The supervisor of a migration with calls that fail, stall or never return.
@Suite(.timeLimit(.minutes(1))) struct LiveMigrationTests {
    private func error(of result: Result<MigrationOutcome, HypervisorError>) -> HypervisorError? {
        guard case .failure(let error) = result else { return nil }
        return error
    }

    @Test(.timeLimit(.minutes(2))) func `the time limit applies even if libvirt answers nothing`() async {
        let gate = Gate()
        defer { gate.open() }
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            _ = mayBegin()
            gate.pass()
            return false
        }
        calls.statistics = {
            gate.pass()
            return nil
        }
        calls.abortion = { gate.pass() }
        calls.source = {
            gate.pass()
            return .running
        }
        let error = error(of: await calls.run(timeLimit: .seconds(1)))
        #expect(error?.kind == .inDoubt)
        #expect(error?.detail.contains("longer than the limit") == true)
    }

    @Test(arguments: [true, false])
    func `a cancel and the stall limit abort the move while statistics hang`(isCancelled: Bool) async {
        let gate = Gate()
        let aborted = Gate()
        defer { gate.open() }
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            guard mayBegin() else { return false }
            aborted.pass()
            throw LibvirtError.operationAborted
        }
        calls.statistics = {
            gate.pass()
            return nil
        }
        calls.abortion = { aborted.open() }
        let result = await calls.run(stallLimit: isCancelled ? .seconds(20) : .seconds(1), isCancelled: isCancelled)
        #expect(error(of: result)?.kind == (isCancelled ? .cancelled : .timedOut))
    }

    @Test(.timeLimit(.minutes(2))) func `a failed move whose VM cannot be located is in doubt within bounded time`()
        async
    {
        let gate = Gate()
        defer { gate.open() }
        var calls = ScriptedCalls.failing(.operationFailed)
        calls.source = {
            gate.pass()
            return .running
        }
        #expect(error(of: await calls.run())?.kind == .inDoubt)
    }

    @Test func `a VM that stays paused by the migration is in doubt and reported as such`() async {
        var calls = ScriptedCalls.failing(.operationFailed)
        calls.source = { .pausedByMigration }
        let error = error(of: await calls.run())
        #expect(error?.kind == .inDoubt)
        #expect(error?.detail.contains("is pausedByMigration at the source") == true)
    }

    @Test func `only a move that began nothing is reported as refused`() async {
        var calls = ScriptedCalls.failing(.operationInvalid)
        #expect(error(of: await calls.run())?.kind == .failed)
        calls.migration = { _ in throw LibvirtError.operationInvalid }
        #expect(error(of: await calls.run())?.kind == .refused)
    }

    @Test(arguments: [DomainPresence.running, .paused])
    func `a failed move whose VM is here has failed, whatever the target has`(here: DomainPresence) async {
        var calls = ScriptedCalls.failing(.operationFailed)
        calls.source = { here }
        let error = error(of: await calls.run())
        #expect(error?.kind == .failed)
        #expect(error?.detail.contains("at the source") == true)
    }

    @Test func `a target that hangs after a move costs one call and only the figures`() async throws {
        let gate = Gate()
        defer { gate.open() }
        let asked = Mutex(0)
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in mayBegin() }
        calls.completed = {
            asked.withLock { $0 += 1 }
            return gate.passed(nil)
        }
        let peers = PeerCalls()
        for _ in 1...2 {
            let outcome = try await calls.run(peers: peers).get()
            #expect(outcome.bytesTransferred == nil && outcome.note != nil)
        }
        #expect(asked.withLock { $0 } == 1)
    }

    @Test func `a migration that never returns keeps its slot, and the next one is refused`() async throws {
        let gate = Gate()
        defer { gate.open() }
        let slots = CallSlots(1)
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            _ = mayBegin()
            return gate.passed(false)
        }
        #expect(error(of: await calls.run(timeLimit: .milliseconds(100), slots: slots))?.kind == .inDoubt)
        let refused = error(of: await calls.run(slots: slots))
        #expect(refused?.kind == .refused)
        #expect(refused?.detail.contains("nothing was touched") == true)
        gate.open()
        while !slots.take() { await Task.yield() }
        slots.release()
        _ = try await calls.run(slots: slots).get()
    }

    @Test func `progress is reported only if every figure is present`() async throws {
        var complete = JobStatistics()
        complete.elapsedMilliseconds = 1500
        complete.memoryTotal = 100
        complete.memoryProcessed = 40
        complete.memoryRemaining = 60
        var partial = complete
        partial.memoryRemaining = nil
        let answers = Mutex([complete, partial])
        let seen = Mutex<[MigrationProgress]>([])
        let done = Gate()
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            guard mayBegin() else { return false }
            done.pass()
            return false
        }
        calls.statistics = {
            let next = answers.withLock { $0.popLast() }
            if next == nil { done.open() }
            return next
        }
        let result = await calls.run { progress in seen.withLock { $0.append(progress) } }
        #expect(error(of: result) == nil)
        #expect(seen.withLock { $0 }.map(\.bytesTransferred) == [40])
    }

    @Test(arguments: [nil, 4])
    func `one TLS connection carries no more than its limit`(connections: Int?) async {
        var much = JobStatistics()
        much.memoryProcessed = Transport.singleTLSLimit
        let seen = Gate()
        let aborted = Gate()
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            guard mayBegin() else { return false }
            // With parallel connections it continues to its end.
            if connections != nil { return seen.passed(false) }
            aborted.pass()
            throw LibvirtError.operationAborted
        }
        calls.statistics = { [much] in
            defer { seen.open() }
            return much
        }
        calls.abortion = { aborted.open() }
        let tls = TLSParameters(targetName: "h2")
        let result = await calls.run(transport: .direct(tls: tls, parallelConnections: connections))
        #expect((error(of: result)?.kind == .failed) == (connections == nil))
        if connections == nil { #expect(error(of: result)?.detail.contains("one TLS connection") == true) }
    }

    @Test func `without byte counts only the time limit applies`() async {
        let aborted = Gate()
        var calls = ScriptedCalls()
        calls.migration = { mayBegin in
            guard mayBegin() else { return false }
            aborted.pass()
            throw LibvirtError.operationAborted
        }
        calls.statistics = { JobStatistics() }
        calls.abortion = { aborted.open() }
        let error = error(of: await calls.run(timeLimit: .seconds(4), stallLimit: .seconds(2)))
        #expect(error?.kind == .timedOut)
        #expect(error?.detail.contains("longer than the limit") == true)
    }
}

extension ScriptedCalls {
    /// Returns the calls of a migration that begins and then fails.
    fileprivate static func failing(_ error: LibvirtError) -> Self {
        var calls = Self()
        calls.migration = { mayBegin in
            guard mayBegin() else { return false }
            throw error
        }
        return calls
    }
}
