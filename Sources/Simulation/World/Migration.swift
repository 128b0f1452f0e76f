// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A migration as the two libvirts carry it out: pre-copy, peer to peer.
struct Migration {
    let number: Int
    let order: MigrationOrder
    let vm: Int
    let source: Int
    let target: Int
    let startedAt: Int64
    /// The life of the agent that waits for it, and of the two libvirts that carry it out.
    let agentLife: Int
    let sourceLibvirt: Int
    let targetLibvirt: Int
    var phase = MigrationPhase.prepare
    /// Counts the events of it; one that is not the last is void.
    var turn = 0
    var iteration = 0
    var sentBytes = 0.0
    /// What this iteration sends, and since when.
    var iterationBytes = 0.0
    var iterationBeganAt: Int64
    /// What of it was left at a time, and how fast it is sent since.
    var remainingBytes = 0.0
    var remainedAt: Int64
    var bytesPerSecond = 1.0
    var isTransferring = false
    /// By how much the guest is slowed down so that it dirties less, 0 to 1.
    var throttle = 0.0
    var isCancelled = false
    var stoppedAt: Int64?
    var lastProgressAt: Int64
    // Faults.
    var failsIn: MigrationPhase?
    var hangsUntil: Int64?
    /// The answer to the last step is lost; whether libvirt then resumes the source's copy.
    var losesAnswer: Bool?
    /// Whether memory goes another way than the protected path.
    var leaks = false
}
