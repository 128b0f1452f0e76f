// SPDX-License-Identifier: Apache-2.0

/// Echo requests sent at even distances and what came back; all times in seconds since the first.
struct ProbeSeries: Codable, Sendable, Equatable {
    /// The distance between two requests.
    var interval: Double
    var echoes: [Echo] = []
    /// When nothing more was waited for.
    var ended = 0.0

    struct Echo: Codable, Sendable, Equatable {
        var sentAt: Double
        /// `nil`: no answer came.
        var roundTrip: Double?
    }

    /// The instants at which answers came, in their order.
    var arrivals: [Double] { echoes.compactMap { echo in echo.roundTrip.map { echo.sentAt + $0 } }.sorted() }

    var roundTrips: [Double] { echoes.compactMap(\.roundTrip) }

    /// A time without an answer: what somebody who talks to the VM feels as downtime.
    struct Gap: Codable, Sendable, Equatable {
        /// The last answer before it, and the first after it; the series' end where none came any more.
        var from: Double
        var to: Double
        var hasEnded: Bool
        /// How long an answer was overdue, known to one interval.
        ///
        /// The interval is no part of it.
        var seconds: Double
    }

    /// Every time in which answers were overdue by `least`, in their order.
    func gaps(ofAtLeast least: Double) -> [Gap] {
        var arrivals = arrivals
        guard let last = arrivals.last else {
            return echoes.isEmpty ? [] : [Gap(from: 0, to: ended, hasEnded: false, seconds: ended)]
        }
        let isCut = echoes.last.map { $0.roundTrip == nil } ?? false
        let end = max(ended, last)
        if isCut { arrivals.append(end) }
        return zip(arrivals, arrivals.dropFirst()).compactMap { before, after in
            let overdue = after - before - interval
            guard overdue >= least else { return nil }
            return Gap(from: before, to: after, hasEnded: !(isCut && after == end), seconds: overdue)
        }
    }
}

/// The figures of a series that need no interpretation; times in seconds.
struct ProbeSummary: Codable, Sendable, Equatable {
    var sent: Int
    var lost: Int
    /// Of the round trips; `nil` where no answer came.
    var median: Double?
    var percentile95: Double?
    var maximum: Double?
    /// The mean difference between one round trip and the next.
    var jitter: Double?
    /// The longest time for which an answer was overdue, known to one interval.
    var longestSilence: Double

    init(_ series: ProbeSeries) {
        let roundTrips = series.roundTrips
        let sorted = roundTrips.sorted()
        sent = series.echoes.count
        lost = sent - roundTrips.count
        median = sorted.quantile(0.5)
        percentile95 = sorted.quantile(0.95)
        maximum = sorted.last
        let steps = zip(roundTrips, roundTrips.dropFirst()).map { abs($1 - $0) }
        jitter = steps.isEmpty ? nil : steps.reduce(0, +) / Double(steps.count)
        longestSilence = series.gaps(ofAtLeast: 0).map(\.seconds).max() ?? 0
    }
}

extension [Double] {
    /// Of a sorted list, with linear interpolation; `nil` of an empty one.
    func quantile(_ share: Double) -> Double? {
        guard let first, let last else { return nil }
        let place = share * Double(count - 1)
        let below = Int(place)
        guard below >= 0 else { return first }
        guard below + 1 < count else { return last }
        return self[below] + (self[below + 1] - self[below]) * (place - Double(below))
    }
}
