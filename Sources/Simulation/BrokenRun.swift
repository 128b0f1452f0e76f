// SPDX-License-Identifier: Apache-2.0

/// A run that violated an invariant, with the smallest set of faults found that still causes the violation.
public struct BrokenRun: Error, Sendable, CustomStringConvertible {
    public var seed: UInt64
    public var violation: Violation
    /// The numbers of the faults that are needed.
    public var needed: [Int]
    public var faults: [ScheduledFault]
    /// The log up to the violation; of a long run only the end.
    public var trace: [String]

    public var description: String {
        let list = zip(needed, faults).map { "  \($0): \($1)" }
        return """
            seed \(seed): \(violation)
            faults needed (\(needed.count)):
            \(list.isEmpty ? "  none" : list.joined(separator: "\n"))
            """
    }
}

extension SimulationSettings {
    /// Returns the same world with only some of its faults.
    func with(onlyFaults numbers: [Int]) -> SimulationSettings {
        var settings = self
        settings.faults = numbers.compactMap { faults.indices.contains($0) ? faults[$0] : nil }
        return settings
    }

    /// Removes faults as long as the same invariant is violated, in at most `runs` runs.
    ///
    /// Removes halves, quarters and so on, finally single faults (delta debugging, Zeller and Hildebrandt, 2002).
    public func shrunk(_ violation: Violation, runs: Int = 500) -> BrokenRun {
        var needed = Array(faults.indices)
        var last = violation
        var left = runs
        func breaks(_ candidate: [Int]) -> Violation? {
            left -= 1
            do throws(Violation) {
                try World(with(onlyFaults: candidate)).run()
                return nil
            } catch { return error.invariant == violation.invariant ? error : nil }
        }
        var size = max(1, needed.count / 2)
        while left > 0 {
            var removed = false
            var start = 0
            while start < needed.count, left > 0 {
                let candidate = Array(needed[..<start]) + needed[min(start + size, needed.count)...]
                if let found = breaks(candidate) {
                    needed = candidate
                    last = found
                    removed = true
                } else {
                    start += size
                }
            }
            if size == 1, !removed { break }
            if !removed { size = max(1, size / 2) }
        }
        return BrokenRun(
            seed: seed,
            violation: last,
            needed: needed,
            faults: needed.map { faults[$0] },
            trace: trace(onlyFaults: needed)
        )
    }

    private func trace(onlyFaults numbers: [Int]) -> [String] {
        var lines: [String] = []
        let world = World(with(onlyFaults: numbers))
        world.log = { line in
            lines.append(line)
            if lines.count > 2 * Self.linesKept { lines.removeFirst(Self.linesKept) }
        }
        // The run throws the same violation again.
        _ = try? world.run()
        return lines
    }

    private static let linesKept = 2000
}
