// SPDX-License-Identifier: Apache-2.0

/// A deliberate error in a core, which proves that the simulator's checks can fail.
///
/// Only this package can request one: tests, and the simulator on request.
package enum Mutation: String, CaseIterable, Sendable {
    /// The agent forgets an order once it has ended, and carries it out again when the ledger shows it again.
    case forgetsOrders = "forgets-orders"
    /// The agent begins a move again that an earlier incarnation began.
    case beginsAgain = "begins-again"
    /// The agent begins a move although it has no durable mark of the report that states it.
    case beginsUnmarked = "begins-unmarked"
    /// The agent does not report how an order ended.
    case staysSilent = "stays-silent"
    /// The agent resumes a copy here although the target runs the VM.
    case resumesBlindly = "resumes-blindly"
    /// The agent resumes a copy here although a third host has the VM.
    case ignoresObjections = "ignores-objections"
    /// The agent leaves two running copies as they are.
    case sparesDuplicates = "spares-duplicates"
    /// The agent gives up the search for a VM once it has reported the doubt.
    case dropsDoubts = "drops-doubts"
    /// The agent does not search for the VM of a running order of its own that it learns of late.
    case overlooksOrders = "overlooks-orders"
    /// The agent does not answer other agents' questions.
    case keepsQuiet = "keeps-quiet"
    /// The agent overlooks VMs that are on its host again.
    case ignoresReturns = "ignores-returns"
    /// The agent leaves its copy running although the order's source has reported that it runs the VM, and does not ask.
    case keepsCopies = "keeps-copies"
    /// The agent ignores that an order was ended in place of its source.
    case ignoresEnds = "ignores-ends"
    /// The agent does not set the autostart of a VM that has moved to its host.
    case losesAutostart = "loses-autostart"
    /// The agent does not close the gate that it opened for an order.
    case leavesGatesOpen = "leaves-gates-open"
    /// The agent moves over a channel that a leak has closed.
    case forgetsLeaks = "forgets-leaks"
    /// The agent carries out orders of a controller from which another one has taken over.
    case ignoresEpochs = "ignores-epochs"
    /// The agent restores a sealed image that its source has not released.
    case restoresUnreleased = "restores-unreleased"
    /// The agent leaves the definition of a VM that it has saved, so that anyone can start the VM.
    case leavesDefinitions = "leaves-definitions"
    /// The agent takes back the VM of a sealed image that it has released.
    case takesBackReleased = "takes-back-released"
    /// The agent takes back the VM of a sealed move in doubt without asking the other hosts.
    case takesBackUnasked = "takes-back-unasked"
    /// The agent leaves the definition of a VM that is off although an offline move has brought it to the target.
    case keepsDefinitions = "keeps-definitions"
    /// The controller plans moves with hosts that cannot take orders.
    case ordersBlockedHosts = "orders-blocked-hosts"
    /// The controller leaves a VM where it is because another host claims it, whatever the records say.
    case believesClaims = "believes-claims"
    /// The controller ignores the limits on simultaneous moves.
    case ignoresLimits = "ignores-limits"
    /// The controller forgets where a VM came from.
    case forgetsMoves = "forgets-moves"
    /// The controller moves VMs back and forth without end.
    case neverSettles = "never-settles"
    /// The agent does not shift its times when its clock is corrected.
    case ignoresClockSteps = "ignores-clock-steps"
    /// The agent takes a hypervisor that does not answer for one that does not have the VM.
    case takesSilenceForAbsence = "takes-silence-for-absence"
    /// The agent overlooks that a move may have begun: by a step of another version, or by the entry in its journal.
    case overlooksUnknownSteps = "overlooks-unknown-steps"
    /// The agent leaves the autostart on at the source while a VM moves.
    case keepsAutostart = "keeps-autostart"
    /// The agent starts a VM that is off although its host was not down.
    case startsStopped = "starts-stopped"
    /// The controller moves VMs that their hosts report as immovable.
    case ordersImmovable = "orders-immovable"
    /// The agent ends a move before the target has confirmed that the VM's definition is on its disk.
    case endsUnconfirmed = "ends-unconfirmed"
    /// The agent refuses the controller's orders for a VM for as long as the target of its failed move is silent.
    case pinsForever = "pins-forever"
    /// The agent leaves the definition that a failed offline move brought to its host.
    case withdrawsNothing = "withdraws-nothing"
    /// The agent begins a move while another one uses the path to the same target.
    case sharesPaths = "shares-paths"
}
