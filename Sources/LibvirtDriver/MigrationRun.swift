// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// One migration from beginning to known end: a thread that makes the call, and a supervisor that watches it.
///
///     preparing ──▶ under way ──▶ returned ──▶ settled
///         │             │ cancel, time or stall limit: abort the job, again each second, until the call returns
///         │             └──▶ (call does not return within the abort limit) in doubt
///         └──▶ ended before it began: nothing was touched
final class MigrationRun: Sendable {
    /// Why the supervisor ends a migration.
    enum Ending: Equatable {
        case cancelled
        case tookTooLong
        case stalled
    }

    struct State {
        var isUnderWay = false
        var ending: Ending?
        /// Whether the VM has to be set to start with its new host, or the call's error.
        var returned: Result<Bool, any Error>?
    }

    let request: MigrationRequest
    let connector: Connector
    let limits: LibvirtHypervisor.Limits
    private let report: @Sendable (MigrationProgress) -> Void
    private let events = MigrationEvents()
    let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)

    var attempt: String { "migrate VM \(request.vm) to \(request.peerURI)" }

    init(
        _ request: MigrationRequest,
        connector: Connector,
        limits: LibvirtHypervisor.Limits,
        report: @Sendable @escaping (MigrationProgress) -> Void
    ) {
        self.request = request
        self.connector = connector
        self.limits = limits
        self.report = report
    }

    /// Asks it to stop; returns at once.
    func cancel() {
        state.withLock { if $0.ending == nil { $0.ending = .cancelled } }
        wake.signal()
    }

    /// Carries the migration out; blocks until its outcome is known or the limits for that have passed.
    func carryOut() -> Result<MigrationOutcome, HypervisorError> {
        let startedAt = Self.wallClock()
        BlockingCall.detach { [self] in
            let call = MigrationCall(request: request, events: events)
            let result = Result { try call.run(on: connector.uri, attempt: attempt, mayBegin: mayBegin) }
            state.withLock { $0.returned = result }
            wake.signal()
        }
        let returned = supervise()
        let ending = state.withLock { $0.ending }
        switch returned {
        case .success(let startsWithHost):
            return .success(outcome(since: startedAt, startsWithHost: startsWithHost))
        case .failure(let error):
            return .failure(settle(error, ending: ending))
        case nil:
            return .failure(withoutReturn(ending))
        }
    }

    /// Asked by the call just before it touches anything; no after a cancel, or when the supervisor has given up.
    private func mayBegin() -> Bool {
        state.withLock {
            guard $0.ending == nil else { return false }
            $0.isUnderWay = true
            return true
        }
    }

    /// Watches the call until it returns; `nil` if it did not within the limits.
    private func supervise() -> Result<Bool, any Error>? {
        let clock = ContinuousClock()
        let began = clock.now
        var lastGain = began
        var mostSent: UInt64 = 0
        var endingSince: ContinuousClock.Instant?
        while true {
            _ = wake.wait(timeout: .now() + (endingSince == nil ? 1 : 0.3))
            if let returned = state.withLock({ $0.returned }) { return returned }
            let now = clock.now
            let isUnderWay = state.withLock { $0.isUnderWay }
            if isUnderWay, let progress = progress() {
                if progress.bytesTransferred > mostSent {
                    mostSent = progress.bytesTransferred
                    lastGain = now
                }
                // While it winds down libvirt gives zeros, which would look like a move that starts anew.
                if progress.bytesTotal > 0, endingSince == nil { report(progress) }
            }
            if now - began >= request.timeLimit { end(.tookTooLong) }
            if now - lastGain >= request.stallLimit { end(.stalled) }
            guard state.withLock({ $0.ending }) != nil else { continue }
            // A call that has not begun asks first, and is told no.
            if !isUnderWay, !state.withLock({ $0.isUnderWay }) { return nil }
            if let since = endingSince, now - since >= limits.abort { return nil }
            endingSince = endingSince ?? now
            // "No job is active" just before the job starts, a lost connection, a domain whose state cannot change in
            // its last phase: each may be over in a moment, so it is tried until the call returns.
            try? connector.use(attempt) { try $0.abortMigration(of: request.vm) }
        }
    }

    private func end(_ ending: Ending) {
        state.withLock { if $0.ending == nil { $0.ending = ending } }
    }

    private func progress() -> MigrationProgress? {
        guard let job = try? connector.use(attempt, { try $0.migrationJob(of: request.vm) }) else { return nil }
        var progress = job.progress
        // The statistics count a finished iteration later than the event does.
        progress.iteration = [progress.iteration, events.iteration].compactMap { $0 }.max()
        return progress
    }

    private static func wallClock() -> Instant {
        Instant(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    private func outcome(since startedAt: Instant, startsWithHost: Bool) -> MigrationOutcome {
        let endedAt = Self.wallClock()
        let job = events.completed(within: .zero) ?? askTarget { try? JobStatistics.of($0, completed: true) }
        var notes: [String] = []
        if job == nil { notes.append("libvirt gave no statistics of the completed migration") }
        if startsWithHost, askTarget({ virDomainSetAutostart($0.pointer, 1) == 0 }) != true {
            notes.append("the VM started with its host at the source and could not be set to do so at the target")
        }
        return MigrationOutcome(
            startedAt: startedAt,
            endedAt: endedAt,
            totalSeconds: job?.elapsedMilliseconds.map { Double($0) / 1000 },
            downtimeSeconds: job?.downtimeMilliseconds.map { Double($0) / 1000 },
            bytesTransferred: job?.memoryProcessed,
            iterations: [job?.iteration.map(Int.init(clamping:)), events.iteration].compactMap { $0 }.max(),
            note: notes.isEmpty ? nil : notes.joined(separator: "; ")
        )
    }

    /// Asks something of the VM at the target, after the move; `nil` without an answer in time.
    private func askTarget<R: Sendable>(_ question: @Sendable @escaping (borrowing DomainHandle) -> R?) -> R? {
        let answer = Answer<R>()
        BlockingCall.detach { [request] in
            defer { answer.arrival.signal() }
            guard let peer = try? Connection(opening: request.peerURI),
                let domain = try? DomainHandle(uuid: request.vm.rawValue, on: peer.handle)
            else { return }
            let given = question(domain)
            answer.given.withLock { $0 = given }
        }
        _ = answer.arrival.wait(timeout: .now() + limits.peer.inSeconds)
        return answer.given.withLock { $0 }
    }

    private final class Answer<R: Sendable>: Sendable {
        let given = Mutex<R?>(nil)
        let arrival = DispatchSemaphore(value: 0)
    }
}
