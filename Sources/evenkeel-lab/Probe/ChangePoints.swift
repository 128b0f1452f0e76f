// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Finds level changes in a series of values by ranks, so that outliers and the distribution do not matter.
enum ChangePoints {
    /// Returns the segments of constant level.
    ///
    /// Splits at the most significant change by Pettitt's test (1979), then splits both parts, as long as its
    /// probability by chance is below `significance`.
    static func segments(of values: [Double], significance: Double, shortest: Int) -> [Range<Int>] {
        var finished: [Range<Int>] = []
        var open = [values.indices]
        while let part = open.popLast() {
            if let change = change(in: Array(values[part]), shortest: shortest), change.probability < significance {
                // Push the later part first, so that the earlier one is processed first.
                open.append(part.lowerBound + change.at..<part.upperBound)
                open.append(part.lowerBound..<part.lowerBound + change.at)
            } else {
                finished.append(part)
            }
        }
        return finished
    }

    /// Returns the likeliest change: the index of the first value after it, and its probability by chance.
    static func change(in values: [Double], shortest: Int) -> (at: Int, probability: Double)? {
        let count = values.count
        guard count >= 2 * shortest else { return nil }
        var sum = 0.0
        var best = (at: 0, distance: -1.0)
        for (index, rank) in ranks(of: values).enumerated() {
            sum += 2 * rank - Double(count + 1)
            let after = index + 1
            if after >= shortest, count - after >= shortest, abs(sum) > best.distance { best = (after, abs(sum)) }
        }
        let size = Double(count)
        let probability = 2 * exp(-6 * best.distance * best.distance / (size * size * size + size * size))
        return (best.at, min(1, probability))
    }

    /// Returns ranks from 1; equal values share the mean of their ranks.
    static func ranks(of values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start
            while end + 1 < order.count, values[order[end + 1]] == values[order[start]] { end += 1 }
            for place in start...end { ranks[order[place]] = Double(start + end) / 2 + 1 }
            start = end + 1
        }
        return ranks
    }

    /// Returns the distance of two samples by Mann and Whitney's test, in standard deviations of chance.
    static func distance(_ first: [Double], _ second: [Double]) -> Double {
        guard !first.isEmpty, !second.isEmpty else { return 0 }
        let (m, n) = (Double(first.count), Double(second.count))
        let sum = ranks(of: first + second).prefix(first.count).reduce(0, +)
        let statistic = sum - m * (m + 1) / 2
        return abs(statistic - m * n / 2) / (m * n * (m + n + 1) / 12).squareRoot()
    }
}
