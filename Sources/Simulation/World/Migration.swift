// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A migration between two libvirtds: pre-copy, peer to peer.
struct Migration {
    let number: Int
    let order: MigrationOrder
    let vm: Int
    let source: Int
    let target: Int
    let startedAt: Int64
    /// The incarnation of the agent that waits for it, and of the two libvirtds that carry it out.
    let agentIncarnation: Int
    let sourceLibvirt: Int
    let targetLibvirt: Int
    var phase = MigrationPhase.prepare
    /// Number of scheduled events; all but the latest are ignored.
    var turn = 0
    var iteration = 0
    var sentBytes = 0.0
    /// The size of the present iteration, and its start.
    var iterationBytes = 0.0
    var iterationBeganAt: Int64
    /// The remaining bytes at the time `remainedAt`, and the rate since then.
    var remainingBytes = 0.0
    var remainedAt: Int64
    var bytesPerSecond = 1.0
    var isTransferring = false
    /// The share of time for which the guest is stopped to dirty less memory, 0 to 1.
    var throttle = 0.0
    var isCancelled = false
    var stoppedAt: Int64?
    var lastProgressAt: Int64
    // Faults.
    var failsIn: MigrationPhase?
    var hangsUntil: Int64?
    /// If not `nil`, the answer to the last step is lost; the value states whether libvirt then resumes the source's
    /// copy.
    var losesAnswer: Bool?
    /// Whether it ends when the VM has stopped, and the target does not run it.
    var losesHandover = false
    /// Whether an operator then starts the VM on a third host.
    var startsElsewhere = false
    /// The fault that takes the source's or the target's host.
    var loss: Fault?
    /// Whether the target loses power soon after it runs the VM.
    var losesPower = false
    /// Whether memory bypasses the protected path.
    var leaks = false
}
