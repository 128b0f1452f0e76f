// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Lab

/// Runs cells of the fault matrix in a lab of its own until none is left.
struct FaultWorker: Sendable {
    private let site: LabSite
    private let queue: FaultQueue
    /// The report's folder.
    private let folder: String
    private let step: @Sendable (String) -> Void
    /// The bench of the lab that runs now; `nil` if none runs.
    private var bench: FaultBench?

    init(site: LabSite, queue: FaultQueue, folder: String, step: @escaping @Sendable (String) -> Void) {
        (self.site, self.queue, self.folder, self.step) = (site, queue, folder, step)
    }

    /// Takes its lab down before it returns, also after a failure or cancellation; throws if it cannot.
    mutating func run() async throws {
        let result: Result<Void, any Error>
        do { result = .success(try await runCells()) } catch { result = .failure(error) }
        if bench != nil {
            do { try await down() } catch {
                if case .success = result { throw error }
                step("\(error)")
            }
        }
        try result.get()
    }

    private mutating func runCells() async throws {
        while let (number, cell, place) = await queue.next() {
            var ready: FaultBench
            if let bench { ready = bench } else { ready = try await makeBench() }
            bench = ready
            step("== \(number), \(place): \(cell)")
            let result = try await ready.run(cell, number: number)
            step("\(result.verdict.rawValue): \(cell): \(result.summary) (\(Units.seconds(result.seconds)))")
            try await queue.add(result, number: number)
            bench = ready
            guard result.verdict == .broken else { continue }
            let name = "\(number)-\(cell.description.replacing("/", with: "-"))"
            step("evidence: \(folder)/evidence/\(name)")
            do { try await ready.lab.keepEvidence(in: "\(folder)/evidence/\(name)") } catch {
                try Task.checkCancellation()
                step("evidence is incomplete: \(error)")
            }
            bench = nil
            try await down()
        }
    }

    /// Starts a lab, and tries a second time if that fails: a long run must not end because of a slow start.
    private func makeBench() async throws -> FaultBench {
        do {
            return try await makeBenchOnce()
        } catch {
            try Task.checkCancellation()
            guard Self.isWorthAnotherStart(after: error) else { throw error }
            step("the lab did not start, trying again: \(error)")
            return try await makeBenchOnce()
        }
    }

    /// Whether a second start may succeed: not if the machine lacks something, or if another lab runs.
    static func isWorthAnotherStart(after error: any Error) -> Bool {
        switch error {
        case LabError.alreadyUp, LabError.notPossibleHere, LabError.badPlan, LabError.left: false
        default: true
        }
    }

    /// Starts a lab; leaves none if it throws, and never touches one that it did not start.
    private func makeBenchOnce() async throws -> FaultBench {
        let programs = try Programs.nextToThisProcess()
        // It cleans up itself if it fails.
        let lab = try await HostLab.up(FaultBench.plan, site: site) { step("lab: \($0)") }
        do {
            let bench = try FaultBench(lab: lab, programs: programs) { [step] in step($0) }
            try await bench.prepare()
            return bench
        } catch {
            do { try await down() } catch let failure { step("\(failure)") }
            throw error
        }
    }

    /// Takes the lab down; throws if anything of it remains.
    private func down() async throws {
        // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
        try await Task { [site] in try await HostLab.down(site: site) }.value
    }
}
