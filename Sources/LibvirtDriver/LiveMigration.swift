// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// One migration until its outcome is known: a thread makes the call, and a supervisor watches it.
///
///     preparing ──▶ under way ──▶ returned ──▶ settled
///         │             │ cancel, time or stall limit: abort the job, again each second, until the call returns
///         │             └──▶ (call does not return within the abort limit) in doubt
///         └──▶ ended before it began: nothing was touched
///
/// The supervisor makes no call itself: each is a background call for which it waits at most one second. It therefore
/// enforces every limit and returns even if libvirt answers nothing at all: at the latest after the request's time
/// limit and the limits `abort` and `settle`, or after a success `peer`.
final class LiveMigration: Sendable {
    /// The reasons why the supervisor ends a migration.
    enum Ending: Equatable {
        case cancelled
        case tookTooLong
        case stalled
        /// It sent more than one TLS connection can carry.
        case tooMuchForTLS
    }

    struct State {
        var isUnderWay = false
        var ending: Ending?
        var returned: Result<Void, any Error>?
    }

    let request: MigrationRequest
    let calls: any MigrationCalls
    let limits: LibvirtHypervisor.Limits
    private let slots: CallSlots
    private let peers: PeerCalls
    private let report: @Sendable (MigrationProgress) -> Void
    let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let statistics = BackgroundCall()
    private let aborts = BackgroundCall()

    static func attempt(_ request: MigrationRequest) -> String { "migrate VM \(request.vm) to \(request.peerURI)" }
    var attempt: String { Self.attempt(request) }

    /// `slots`: those of the calls that migrate.
    init(
        _ request: MigrationRequest,
        calls: any MigrationCalls,
        limits: LibvirtHypervisor.Limits,
        slots: CallSlots,
        peers: PeerCalls,
        report: @Sendable @escaping (MigrationProgress) -> Void
    ) {
        self.request = request
        self.calls = calls
        self.limits = limits
        self.slots = slots
        self.peers = peers
        self.report = report
    }

    /// Requests a stop; returns at once.
    func cancel() {
        state.withLock { if $0.ending == nil { $0.ending = .cancelled } }
        wake.signal()
    }

    /// Runs the migration; blocks until its outcome is known or the limits have passed.
    func carryOut() -> Result<MigrationOutcome, HypervisorError> {
        let startedAt = Instant.now
        guard slots.take() else {
            let detail = "\(slots.full); nothing was touched"
            return .failure(HypervisorError(.refused, attempt: attempt, detail: detail))
        }
        Blocking.detach("libvirt-call") { [self] in
            defer { slots.release() }
            let result = Result { try calls.migrate(mayBegin: mayBegin) }
            state.withLock { $0.returned = result }
            wake.signal()
        }
        let returned = supervise()
        let ending = state.withLock { $0.ending }
        switch returned {
        case .success:
            return .success(outcome(since: startedAt))
        case .failure(let error):
            return .failure(settle(error, ending: ending))
        case nil:
            return .failure(withoutReturn(ending))
        }
    }

    /// Called just before the call touches anything; false after a cancel, or after the supervisor has given up.
    private func mayBegin() -> Bool {
        state.withLock {
            guard $0.ending == nil else { return false }
            $0.isUnderWay = true
            return true
        }
    }

    /// Watches the call until it returns; `nil` if it did not return within the limits.
    private func supervise() -> Result<Void, any Error>? {
        let clock = ContinuousClock()
        let began = clock.now
        var lastGain = began
        var mostSent: UInt64 = 0
        var endingSince: ContinuousClock.Instant?
        while true {
            _ = wake.wait(timeout: .now() + (endingSince == nil ? 1 : 0.3))
            if let returned = state.withLock({ $0.returned }) { return returned }
            let isUnderWay = state.withLock { $0.isUnderWay }
            let job = isUnderWay ? statistics.run(within: .seconds(1)) { [calls] in try calls.job() } ?? nil : nil
            let now = clock.now
            if let job {
                // Without a byte count a stall cannot be detected; then only the time limit applies.
                if job.memoryProcessed.map({ $0 > mostSent }) ?? true { lastGain = now }
                mostSent = max(mostSent, job.memoryProcessed ?? 0)
                // While libvirt winds the migration down it reports zeros, which would look like a restart.
                if endingSince == nil, let progress = progress(job) { report(progress) }
            }
            if now - began >= request.timeLimit { end(.tookTooLong) }
            if now - lastGain >= request.stallLimit { end(.stalled) }
            if mostSent >= Transport.singleTLSLimit, request.transport.isSingleTLS { end(.tooMuchForTLS) }
            guard state.withLock({ $0.ending }) != nil else { continue }
            // A call that has not begun asks `mayBegin` first, which now returns false.
            if !isUnderWay, !state.withLock({ $0.isUnderWay }) { return nil }
            if let since = endingSince, now - since >= limits.abort { return nil }
            endingSince = endingSince ?? now
            // An abort fails if the job has not started yet, if the connection is lost, or if the domain's last phase
            // locks its state. Each may pass in a moment, so retry until the call returns.
            aborts.run(within: .seconds(1)) { [calls] in try calls.abort() }
        }
    }

    private func end(_ ending: Ending) {
        state.withLock { if $0.ending == nil { $0.ending = ending } }
    }

    private func progress(_ job: JobStatistics) -> MigrationProgress? {
        guard var progress = job.progress, progress.bytesTotal > 0 else { return nil }
        // The statistics count a finished iteration later than the event.
        progress.iteration = [progress.iteration, calls.events.iteration].compactMap { $0 }.max()
        return progress
    }

    private func outcome(since startedAt: Instant) -> MigrationOutcome {
        let endedAt = Instant.now
        if request.isOffline {
            let seconds = (endedAt - startedAt).inSeconds
            return MigrationOutcome(startedAt: startedAt, endedAt: endedAt, totalSeconds: seconds, bytesTransferred: 0)
        }
        let job = calls.events.completed(within: .zero) ?? completedJob()
        return MigrationOutcome(
            startedAt: startedAt,
            endedAt: endedAt,
            totalSeconds: job?.elapsedMilliseconds.map { Double($0) / 1000 },
            downtimeSeconds: job?.downtimeMilliseconds.map { Double($0) / 1000 },
            bytesTransferred: job?.memoryProcessed,
            iterations: [job?.iteration.map(Int.init(clamping:)), calls.events.iteration].compactMap { $0 }.max(),
            note: job == nil ? "libvirt gave no statistics of the completed migration" : nil
        )
    }

    private func completedJob() -> JobStatistics? {
        try? peers.run(at: request.peerURI, within: limits.peer) { [calls] in try calls.completedJobAtTarget() }?.get()
    }
}

extension Transport {
    fileprivate var isSingleTLS: Bool {
        if case .direct(.some, let connections) = self { connections == nil } else { false }
    }
}
