// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization

/// Sends echo requests at regular intervals and records the replies, on its own thread, until it is stopped.
struct EchoProbe: Sendable {
    let socket: EchoSocket
    /// The interval between two requests in seconds.
    let interval: Double
    /// The duration in seconds; `nil`: runs until it is stopped.
    let duration: Double?
    /// Receives the series a few times a second.
    var live: @Sendable (ProbeSeries) -> Void = { _ in }

    /// Seconds to wait for replies after the last request.
    private static let patience = 1.0

    /// Runs to the end or until the task is cancelled; returns the recorded series in both cases.
    func run() async throws -> ProbeSeries {
        let stopped = Stop()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue.global(qos: .userInteractive).async {
                    continuation.resume(with: Result { try runBlocking { stopped.flag.load(ordering: .relaxed) } })
                }
            }
        } onCancel: {
            stopped.flag.store(true, ordering: .relaxed)
        }
    }

    private final class Stop: Sendable {
        let flag = Atomic(false)
    }

    private func runBlocking(isStopped: () -> Bool) throws -> ProbeSeries {
        let begin = ContinuousClock.now
        func now() -> Double { (ContinuousClock.now - begin) / .seconds(1) }
        var series = ProbeSeries(interval: interval)
        var shownAt = 0.0
        var due = 0.0
        while !isStopped(), duration.map({ due < $0 }) ?? true {
            series.echoes.append(.init(sentAt: now(), roundTrip: nil))
            try socket.send(sequence: UInt16(truncatingIfNeeded: series.echoes.count - 1))
            // A late request does not delay the later ones.
            due = max(due + interval, now())
            receive(into: &series, until: due, now)
            if now() - shownAt > 0.25 {
                shownAt = now()
                series.ended = shownAt
                live(series)
            }
        }
        let end = now() + (series.echoes.last?.roundTrip == nil ? Self.patience : 0)
        while now() < end, series.echoes.last?.roundTrip == nil { receive(into: &series, until: now() + 0.05, now) }
        series.ended = now()
        return series
    }

    private func receive(into series: inout ProbeSeries, until deadline: Double, _ now: () -> Double) {
        while true {
            let left = deadline - now()
            guard left > 0 else { return }
            guard let sequence = socket.receive(within: left) else { continue }
            let at = now()
            // The latest request with this number: numbers repeat after 65,536 requests.
            let last = series.echoes.count - 1
            let index = last - Int(UInt16(truncatingIfNeeded: last) &- sequence)
            guard series.echoes.indices.contains(index), series.echoes[index].roundTrip == nil else { continue }
            series.echoes[index].roundTrip = at - series.echoes[index].sentAt
        }
    }
}
