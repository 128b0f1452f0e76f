// SPDX-License-Identifier: Apache-2.0
package import Coordination
package import Fleet

/// An agent's events of every kind: a move that succeeds, a move in doubt, and an incoming VM.
package enum ScriptedAgent {
    package static let host = HostName("h1")
    package static let limits = AgentCore.Limits(consent: .seconds(7), jobLock: .milliseconds(1500))

    package static func drive(_ core: inout some Core<AgentCore.Event, AgentCore.Effect>) {
        let (out, lost, coming) = (order("o1"), order("o2"), order("o3", from: "h2", to: "h1"))
        for event in moved(out) + doubtful(lost) + arriving(coming) { _ = core.handle(event) }
    }

    package static func order(_ id: String, from source: String = "h1", to target: String = "h2") -> MigrationOrder {
        var order = MigrationOrder.sample(
            id,
            vm: VMID("uuid-\(id)"),
            named: "vm-\(id)",
            from: source,
            to: target,
            at: .second(0),
            lifetime: .seconds(120),
            issuer: .controller
        )
        order.prediction = Prediction(sourceBefore: 0.9, sourceAfter: 0.1 + 0.2, targetBefore: 0.1, targetAfter: 0.7)
        return order
    }

    private static func moved(_ order: MigrationOrder) -> [AgentCore.Event] {
        let progress = MigrationProgress(
            elapsedSeconds: 1.5,
            bytesTransferred: .max,
            bytesRemaining: 1,
            bytesTotal: 2,
            iteration: 3
        )
        let completion = AgentCore.Completion(
            outcome: MigrationOutcome(startedAt: .second(2), endedAt: .second(6), totalSeconds: 4),
            evidence: Evidence(channel: .ipsec, verdict: .covered)
        )
        return [
            .init(.caughtUp, at: .second(0)), .init(.order(.migrate(order: order)), at: .second(1)),
            .init(.requirementsRead(order.id, .success(requirements(order))), at: .second(1)),
            .init(.appended(.failed), at: .second(1)), .init(.tick, at: .second(4)),
            .init(.appended(.written), at: .second(4)),
            .init(.report(report(order, .prepared())), at: .second(4)), .init(.appended(.written), at: .second(4)),
            .init(.progressed(order.id, progress), at: .second(7)), .init(.appended(.written), at: .second(7)),
            .init(.migrationEnded(order.id, .success(completion)), at: .second(8)),
            .init(.appended(.written), at: .second(8)),
        ]
    }

    /// Returns the events of a move whose answer is lost: the VM runs at the target, and the copy here is removed.
    private static func doubtful(_ order: MigrationOrder) -> [AgentCore.Event] {
        let lost = OrderFailure(.inDoubt, .other("libvirtd was lost"), .unknown)
        return [
            .init(.order(.migrate(order: order)), at: .second(10)),
            .init(.requirementsRead(order.id, .success(requirements(order))), at: .second(10)),
            .init(.appended(.written), at: .second(10)), .init(.report(report(order, .prepared())), at: .second(11)),
            .init(.appended(.written), at: .second(11)),
            .init(.order(.cancel(id: order.id, at: .second(12), reason: "not now")), at: .second(12)),
            .init(.cancelTried(order.id), at: .second(12)),
            .init(.migrationEnded(order.id, .failure(lost)), at: .second(13)),
            .init(.looked(order.id, .silent("no answer")), at: .second(14)), .init(.tick, at: .second(16)),
            .init(.looked(order.id, .seen(.pausedByMigration)), at: .second(17)),
            .init(.appended(.written), at: .second(17)), .init(.report(answer(order, 17)), at: .second(18)),
            .init(.looked(order.id, .seen(.pausedByMigration)), at: .second(18)),
            .init(.applied(order.id, .notSo("it was busy")), at: .second(18)), .init(.tick, at: .second(20)),
            .init(.looked(order.id, .seen(.pausedByMigration)), at: .second(20)),
            .init(.appended(.written), at: .second(20)), .init(.report(answer(order, 20)), at: .second(21)),
            .init(.looked(order.id, .seen(.pausedByMigration)), at: .second(21)),
            .init(.applied(order.id, .done), at: .second(21)), .init(.appended(.refused), at: .second(22)),
        ]
    }

    private static func answer(_ order: MigrationOrder, _ asked: Int) -> OrderReport {
        report(order, .answered(presence: .running, question: .second(asked)))
    }

    private static func arriving(_ order: MigrationOrder) -> [AgentCore.Event] {
        let failure = PreflightFailure(check: .memory, host: host, reason: .other("10 MiB available"))
        return [
            .init(.order(.migrate(order: order)), at: .second(30)),
            .init(.report(report(order, question(order), by: "h2")), at: .second(30)),
            .init(.located(order.id, .seen(.absent)), at: .second(30)), .init(.appended(.written), at: .second(30)),
            .init(.report(report(order, .accepted(requirements: requirements(order)), by: "h2")), at: .second(31)),
            .init(.targetChecked(order.id, [failure]), at: .second(32)), .init(.appended(.written), at: .second(33)),
            .init(.tick, at: .second(34)),
        ]
    }

    private static func question(_ order: MigrationOrder) -> OrderStep {
        .asked(question: PresenceQuestion(vm: order.vm, target: order.target, here: .running))
    }

    package static var sealedOrder: MigrationOrder {
        var sealed = order("o4")
        (sealed.channel, sealed.technique) = (.sealed, .stopAndCopy)
        return sealed
    }

    /// Returns the events of a sealed move whose target does not open the image within 10 s.
    package static func withdrawn(_ order: MigrationOrder) -> [AgentCore.Event] {
        let image = SealedImage(bytes: 1001, digest: "d", imageBytes: 1000, stoppedAt: .second(4))
        return [
            .init(.caughtUp, at: .second(0)), .init(.order(.migrate(order: order)), at: .second(1)),
            .init(.requirementsRead(order.id, .success(requirements(order))), at: .second(1)),
            .init(.appended(.written), at: .second(1)),
            .init(.report(report(order, .prepared(sealingKey: "key"))), at: .second(2)),
            .init(.appended(.written), at: .second(2)), .init(.sealed(order.id, .success(image)), at: .second(4)),
            .init(.appended(.written), at: .second(4)), .init(.tick, at: .second(14)),
        ]
    }

    private static func report(_ order: MigrationOrder, _ step: OrderStep, by host: String? = nil) -> OrderReport {
        OrderReport(order: order.id, host: host.map { HostName($0) } ?? order.target, at: .second(4), step: step)
    }

    private static func requirements(_ order: MigrationOrder) -> VMRequirements {
        var requirements = VMRequirements.sample(order.vm, name: order.vmName, memoryBytes: 1 << 30)
        requirements.cpuXML = "<cpu mode='host-model'/>"
        requirements.disks = [.iscsi(address: "10.0.0.9", port: 3260, iqn: "iqn.2026-01.org.example:disks", lun: 1)]
        requirements.networks = [.bridge(name: "br0")]
        return requirements
    }
}
