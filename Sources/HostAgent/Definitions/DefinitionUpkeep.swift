// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Hypervisor
import Ledger
import Logging

/// Keeps this host's copies of VM definitions equal to those of its hypervisor.
///
/// Every turn compares the present definitions with the copies. Trouble is logged once, and costs only the copies.
struct DefinitionUpkeep {
    static let interval: Duration = .seconds(60)
    /// Number of turns after which the files are read again: somebody may have altered them.
    static let turnsPerReading = 60
    /// Limit of one turn's work on the storage.
    static let timeLimit = Duration.hangLimit

    let definitions: OwnDefinitions
    let hypervisor: any Hypervisor
    let logger: Logger
    /// One call at a time: while it hangs, nothing else may write, and no further thread is spent.
    let slots = CallSlots(1)
    private var known: [VMID: DefinitionCopy]?
    private var turns = 0
    private var clock = ClockWatch()
    private var trouble: String?

    init(_ definitions: OwnDefinitions, of hypervisor: any Hypervisor, logger: Logger) {
        self.definitions = definitions
        self.hypervisor = hypervisor
        self.logger = logger
    }

    /// Compares once; `now` is the time that changed copies receive, `uptime` the time since the first turn by a clock that
    /// never jumps.
    mutating func turn(at now: Instant, uptime: Duration) async {
        let time = clock.time(at: now, uptime: uptime)
        if turns.isMultiple(of: Self.turnsPerReading) { known = nil }
        turns = (turns + 1) % Self.turnsPerReading
        do {
            let present = try await hypervisor.definitions()
            // After a failure halfway, the files are read again.
            let before = known
            known = nil
            let update = try await Blocking.onStorage(
                in: slots,
                within: Self.timeLimit,
                "storing the definitions of VMs"
            ) { [definitions] in
                try definitions.update(before, to: present, at: time)
            }
            known = update.copies
            clock.applied()
            report(update.problems.isEmpty ? nil : update.problems.joined(separator: "; "))
        } catch { report("\(error)") }
    }

    private mutating func report(_ news: String?) {
        defer { trouble = news }
        guard news != trouble, !Task.isCancelled else { return }
        if let news {
            logger.warning("cannot store the definitions of all VMs; trying again", metadata: ["reason": "\(news)"])
        } else {
            logger.notice("the definitions of all VMs are stored again")
        }
    }
}

extension AgentService {
    func keepDefinitions() async {
        guard let definitions else { return }
        var upkeep = DefinitionUpkeep(definitions, of: hypervisor, logger: logger)
        let clock = ContinuousClock()
        let start = clock.now
        while !Task.isCancelled {
            await upkeep.turn(at: .now, uptime: clock.now - start)
            try? await Task.sleep(for: DefinitionUpkeep.interval)
        }
    }
}
