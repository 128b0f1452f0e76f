// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

/// The text of each reason, and the codes that programs use.
struct ReasonTextTests {
    static let h1 = HostName("h1")
    static let h2 = HostName("h2")

    @Test(
        arguments: [
            (.stated("pinned"), "stated", "pinned"),
            (.notRunning(.shutOff), "not-running", "it is not running (shutOff)"),
            (.paused, "paused", "it is paused"),
            (
                .cooldown(secondsAgo: 11, seconds: 20), "cooldown",
                "its last move ended 11 s ago; the cool-down lasts 20 s"
            ),
            (.hostMode(h1, .stale), "host-stale", "h1 has no fresh figures"),
            (.hostMode(h1, .blocked), "host-blocked", "the agent of h1 cannot take orders"),
            (.noAllowedChannel(h1), "no-allowed-channel", "h1 offers no channel that policy.channels allows"),
            (
                .runningTwice(RunningTwice(vm: VMID("u"), vmName: "vm1", hosts: [h1, h2])), "running-twice",
                "vm1 (u) runs on h1 and h2: stop all but one at once"
            ),
            (
                .runningTwice(RunningTwice(vm: VMID("u"), vmName: "vm1", hosts: [h1, h2], holder: h2)), "running-twice",
                "vm1 (u) runs on h1 and h2: stop all but one at once. The records give it to h2. On h1 it was started by "
                    + "hand, or the claim is false: check with 'virsh list' there"
            ),
            (
                .hostHardlyWatched(h1, seconds: 20, wantedSeconds: 60), "host-hardly-watched",
                "h1 has samples of only 20 s since its last change; an optional move needs 60 s"
            ),
        ] as [(StayReason, String, String)]
    )
    func `each reason why a VM stays has a code and a text`(reason: StayReason, code: String, text: String) {
        #expect(reason.code == code && "\(reason)" == text)
    }

    @Test func `a VM that cannot move has the code of its first reason and the text of all`() throws {
        let reasons = try #require(CannotMove([.hypervisor(.snapshots(2)), .host(.noBridge("br0"))]))
        let stays = StayReason.cannotMove(reasons)
        #expect(stays.code == "snapshots")
        #expect(
            "\(stays)" == "it cannot move: the VM has 2 snapshots, which cannot move with it: remove them with 'virsh "
                + "snapshot-delete'; there is no bridge br0"
        )
    }

    @Test(
        arguments: [
            (.hostMode(.maintenance), "host-maintenance", "it is in maintenance"),
            (.hypervisorType("xen", wanted: "qemu"), "hypervisor-type", "its hypervisor is xen, the VM needs qemu"),
            (
                .memory(freeBytes: 300 << 20, neededBytes: 3 << 29, isMost: false), "memory",
                "300 MiB of memory free, 1.5 GiB needed"
            ),
            (
                .memory(freeBytes: 1 << 30, neededBytes: 2 << 30, isMost: true), "memory",
                "at most 1 GiB of memory free, 2 GiB needed"
            ),
            (
                .cpuOverload(share: 1.125, isLeast: false), "cpu-overload",
                "its CPU would become overloaded (113 %)"
            ),
            (
                .memoryOverload(share: 0.95, isLeast: true), "memory-overload",
                "its memory would become overloaded (at least 95 %)"
            ),
            (
                .leftLately(secondsAgo: 41, seconds: 600), "left-lately",
                "the VM left it 41 s ago and may not return within 600 s"
            ),
            (
                .refused(.host(.noBridge("br0")), secondsAgo: 41), "no-bridge",
                "it refused the VM 41 s ago: there is no bridge br0; it is not asked again for a day, unless the VM's "
                    + "definition or the host's hypervisor changes"
            ),
            (.notLight(cpu: 0.6, memory: 0.75), "not-light", "it accepts VMs only up to 60 % CPU and 75 % memory"),
            (
                .strategySeesNoReason(.threshold), "strategy-sees-no-reason",
                "the strategy threshold has no reason for this move"
            ),
        ] as [(Obstacle, String, String)]
    )
    func `each obstacle between a VM and a host has a code and a text`(obstacle: Obstacle, code: String, text: String) {
        #expect(obstacle.code == code && "\(obstacle)" == text)
    }

    @Test func `obstacles that most hosts have come first, and few hosts are named`() {
        let many = HostsObstacle((3...9).map { HostName("h\($0)") }, .noGain)
        let reason = RefusalReason.noTarget([
            HostsObstacle([Self.h2, Self.h1], .hostMode(.failed)), many, HostsObstacle([HostName("a")], .otherGroup),
        ])
        #expect(
            "\(reason)"
                == "7 hosts: the move would gain less than it costs; h1, h2: it has failed; a: it is in another group"
        )
        #expect(reason.code == "no-target" && reason.obstacleCodes == ["host-failed", "no-gain", "other-group"])
        let broken = RefusalReason.breaksRules([.init(name: "r", kind: .neverOn)], because: .noOtherHost)
        #expect("\(broken)" == "it breaks r (neverOn); there is no other host")
    }

    @Test(
        arguments: [
            (.clockAhead(seconds: 9), "its clock is 9 s ahead of the controller's: synchronise the clocks"),
            (.moveUnderWay(Path(source: h1, target: h2)), "a move from h1 to h2 is under way"),
            (.takesNoOrders(reason: "no space left"), "its agent cannot take orders: no space left"),
            (
                .contention([.cpu(share: 0.88, allowed: 0.8, isForecast: true), .memory(share: 0.95, allowed: 0.9)]),
                "CPU 88 % forecast, 80 % allowed, memory 95 %, 90 % allowed"
            ),
            (
                .contradicted([
                    .moreThanShown(claimed: .cores(32), shown: .cores(8), witnesses: [h1, h2]),
                    .moreThanEnrolled(claimed: .memory(mebibytes: 2), enrolled: .memory(mebibytes: 1)),
                    .missingVM(name: "vm1", movedFrom: h1), .stillRunsVM(name: "vm2", movedTo: h2),
                ]),
                "it claims 32.0 CPU cores; its libvirt showed at most 8.0 CPU cores to h1 and h2; "
                    + "it claims 2 MiB of memory; it was enrolled with 1 MiB of memory; "
                    + "it does not list VM vm1, although h1 reports that it moved the VM there; if 'virsh dominfo "
                    + "vm1' knows it on no host, 'evenkeel definitions restore vm1' prints its stored definition; "
                    + "it reports that it moved VM vm2 to h2, but still runs the VM, and h2 does not list it"
            ),
            (
                .load(cpu: 0.5, memory: 0.25, signs: [.tooFew(above, needed: 3)]),
                "CPU 50 %, memory 25 %; CPU above 80 % in 2 of the last 4 samples (overloaded from 3)"
            ),
            (
                .overload(.notReleased(.memory, upper: 0.9, release: 0.85, samples: 3, of: 4, now: 0.88)),
                "memory was above 90 % and has not been below 85 % in 3 of the last 4 samples, now 88 %"
            ),
            (
                .load(cpu: 0.5, memory: 0.25, signs: [.tooBrief(above, windows: windows)]),
                "CPU 50 %, memory 25 %; CPU above 80 % in 2 of the last 4 samples, mean 70 % over 60 s, above the "
                    + "threshold for 5 % of the last 1800 s (overloaded when the mean exceeds 80 % and the time "
                    + "reaches 10 %)"
            ),
        ] as [(JudgementReason, String)]
    )
    func `each reason for a host's verdict has a text`(reason: JudgementReason, text: String) {
        #expect("\(reason)" == text)
    }

    static let above = SamplesAbove(resource: .cpu, upper: 0.8, count: 2, of: 4)
    static let windows = OverloadWindows(
        mean: 0.7,
        shortSeconds: 60,
        lasting: 0.05,
        longSeconds: 1800,
        lastingNeeded: 0.1
    )

    static let move = PlannedMove(
        vm: VMID("u"),
        vmName: "vm1",
        source: h1,
        target: h2,
        reason: MoveReason(
            .balance(
                .init(
                    resource: .vcpus,
                    source: h1,
                    target: h2,
                    sourceShare: 2.25,
                    targetShare: 1.875,
                    fleetShare: 1.6
                )
            ),
            effect: MoveEffect(
                vmName: "vm1",
                cores: 0.48,
                memoryBytes: 4 << 30,
                source: change(h1, from: 0.8, to: 0.74),
                target: change(h2, from: 0.77, to: 0.83),
                worth: .times(1.12),
                seconds: 34.5,
                slowsGuest: false
            )
        ),
        prediction: Prediction(sourceBefore: 0.8, sourceAfter: 0.74, targetBefore: 0.77, targetAfter: 0.83),
        memoryBytes: 4 << 30,
        seconds: 34.5
    )

    static func change(_ host: HostName, from before: Double, to after: Double) -> MoveEffect.HostChange {
        .init(name: host, cpuBefore: before, cpuAfter: after, memoryBefore: 0.25, memoryAfter: 0.5)
    }

    @Test func `the reason of a move names its cause and its effect`() {
        #expect(
            "\(Self.move.reason)"
                == "it evens out VCPUs per CPU (2.25 on h1, 1.88 on h2, 1.6 in the fleet); vm1 needs 0.48 cores and "
                + "4 GiB; h1 goes from 80 % to 74 % CPU and from 25 % to 50 % memory, h2 from 77 % to 83 % and from 25 % "
                + "to 50 %; it gains 1.1 times what it costs (about 35 s of migration)"
        )
        let rules = MoveReason(.rules(["a", "b"], brokenOn: Self.h1))
        #expect("\(rules)" == "rules a, b require it on another host than h1" && rules.code == "breaks-rules")
        let missing = ShortageReason(cores: 14.4, memoryBytes: 1 << 30, reserveHosts: 1)
        #expect(
            "\(missing)"
                == "the fleet is full: 14.40 cores of CPU and 1 GiB of memory are missing under the thresholds, "
                + "with 1 hosts kept in reserve"
        )
    }

    @Test func `each part of a plan has the code of its reason next to the text`() throws {
        func object(_ value: some Encodable) throws -> [String: Any] {
            try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(value)) as? [String: Any])
        }
        let move = try object(Self.move)
        #expect(move["code"] as? String == "balance" && move["reason"] as? String == "\(Self.move.reason)")
        #expect(move["vmName"] as? String == "vm1" && move["prediction"] is [String: Any])
        let obstacles = RefusalReason.noTarget([HostsObstacle([Self.h2], .noGain)])
        let refusal = try object(Refusal(host: Self.h1, vm: VMID("u"), vmName: "vm1", reason: obstacles))
        #expect(refusal["code"] as? String == "no-target" && refusal["obstacles"] as? [String] == ["no-gain"])
        #expect(refusal["reason"] as? String == "h2: the move would gain less than it costs")
        let full = ShortageReason(cores: 1, memoryBytes: nil, reserveHosts: 0)
        let shortage = try object(Shortage(hosts: 1, hostCores: 4, hostMemoryBytes: 1, reason: full))
        #expect(shortage["code"] as? String == "cpu-full" && shortage["hosts"] as? Int == 1)
    }

    @Test func `an order in an older record has no code, and a newer one keeps it`() throws {
        var order = MigrationOrder(
            Self.move,
            id: OrderID("o1"),
            channel: .ipsec,
            definition: nil,
            issuedAt: Instant(milliseconds: 1000),
            lifetime: .seconds(60),
            issuer: .controller
        )
        #expect(order.code == "balance" && order.reason == "\(Self.move.reason)")
        #expect(try JSONDecoder().decode(MigrationOrder.self, from: JSONEncoder().encode(order)) == order)
        order.code = nil
        let old = try JSONEncoder().encode(order)
        #expect(!String(decoding: old, as: UTF8.self).contains("\"code\""))
        #expect(try JSONDecoder().decode(MigrationOrder.self, from: old) == order)
    }
}
