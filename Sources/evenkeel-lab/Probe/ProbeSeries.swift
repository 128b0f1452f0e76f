// SPDX-License-Identifier: Apache-2.0

/// Echo requests sent at regular intervals and their replies; all times in seconds since the first request.
struct ProbeSeries: Codable, Sendable, Equatable {
    /// The interval between two requests.
    var interval: Double
    var echoes: [Echo] = []
    /// When the probe stopped waiting for replies.
    var ended = 0.0

    struct Echo: Codable, Sendable, Equatable {
        var sentAt: Double
        /// `nil`: no reply.
        var roundTrip: Double?
    }

    /// The times of the replies, sorted.
    var arrivals: [Double] { echoes.compactMap { echo in echo.roundTrip.map { echo.sentAt + $0 } }.sorted() }

    var roundTrips: [Double] { echoes.compactMap(\.roundTrip) }

    /// A period without a reply, which a client of the VM experiences as downtime.
    struct Gap: Codable, Sendable, Equatable {
        /// The last reply before the gap and the first after it; the end of the series if no reply followed.
        var from: Double
        var to: Double
        var hasEnded: Bool
        /// How long a reply was overdue; the resolution is one interval.
        ///
        /// The interval itself is not included.
        var seconds: Double
    }

    /// Returns every period in which replies were overdue by at least `least`, in order.
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

/// Summary figures of a series, without interpretation; times in seconds.
struct ProbeSummary: Codable, Sendable, Equatable {
    var sent: Int
    var lost: Int
    /// Statistics of the round trips; `nil` if there was no reply.
    var median: Double?
    var percentile95: Double?
    var maximum: Double?
    /// The mean difference between one round trip and the next.
    var jitter: Double?
    /// The longest time for which a reply was overdue; the resolution is one interval.
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
    /// Returns a quantile of a sorted list, with linear interpolation; `nil` for an empty list.
    func quantile(_ share: Double) -> Double? {
        guard let first, let last else { return nil }
        let place = share * Double(count - 1)
        let below = Int(place)
        guard below >= 0 else { return first }
        guard below + 1 < count else { return last }
        return self[below] + (self[below + 1] - self[below]) * (place - Double(below))
    }
}
