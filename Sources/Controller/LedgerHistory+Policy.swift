// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import Coordination
public import Fleet
public import Ledger

extension LedgerHistory {
    /// What a controller needs to decide, and a command to show the present.
    ///
    /// `thinned`: with as many samples as judgements of the hosts need, but fewer than the statistics of VMs can use.
    public static func present(_ policy: Policy, thinned: Bool, at now: Instant) -> LedgerHistory {
        .recent(
            // As long as `ControllerCore` remembers orders that have ended.
            ended: max(policy.cooldown, policy.noReturn) + .seconds(86400),
            searched: ControllerCore.searched,
            samples: max(policy.longWindow, HostHistory.fullDetail) + HostHistory.thinSpan,
            thinned: thinned,
            at: now
        )
    }
}
