// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

struct FailureReasonTests {
    private static let (h1, h2) = (HostName("h1"), HostName("h2"))
    private static let id = OrderID("o1")

    static let reasons: [FailureReason] = [
        .order(.endedForSource(h1, reason: "lost")),
        .order(.agentRestarted), .order(.cancelled(reason: "lunch")), .order(.expiredUnseen), .order(.expiredWaiting),
        .order(.tooEarly(.seconds(90))), .order(.sourceSilent(h1)), .order(.targetSilent(h2, limit: .seconds(30))),
        .order(.channelClosed(ClosedByLeak(path: Path(source: h1, target: h2), channel: .ipsec, order: id))),
        .order(.wrongTechnique(.stopAndCopy, .ipsec)), .order(.sameHost), .order(.vmIsMoving(id)),
        .order(.newerOrder(id)), .order(.pathInUse(id, target: h2)), .order(.digestUnknown(vm: "vm1")),
        .order(.definitionNotNamed(vm: "vm1")), .order(.definitionChanged(vm: "vm1")), .order(.noSealingKey(h2)),
        .order(.handedBack(reason: "declined")), .order(.ledgerNotWritten), .order(.begunBefore(id)),
        .order(.beginningNotNoted(detail: "EIO")), .order(.beginningNotMarked),
        .order(.controllerSuperseded(epoch: 1, by: 2)),
        .order(.closuresDamaged(detail: "damaged")), .preflight,
        .move(.noPath(target: h2, vm: "vm1", source: h1, detail: "no SA")), .move(.pathLost(detail: "no SA")),
        .move(.hypervisor(detail: "libvirt error 38")), .move(.reportTooLong),
        .inquiry(.agentRestarted, .stayed(vm: "vm1", source: h1)),
        .inquiry(.moveFailed, .stayedUnasked(vm: "vm1", source: h1, target: h2, detail: "silent")),
        .inquiry(.answerLost(detail: "EOF"), .resumed(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .pausedHereAndElsewhere(vm: "vm1", source: h1, other: HostName("h3"))),
        .inquiry(.agentRestarted, .pausedHereInactiveThere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .pausedHereNotResumed(vm: "vm1", source: h1, target: h2, detail: "transient")),
        .inquiry(.agentRestarted, .transientThere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .runsNowhere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .duplicatePaused(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .duplicateRuns(vm: "vm1", source: h1, target: h2, detail: "silent")),
        .inquiry(.moveFailed, .duplicatePausedThere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.moveFailed, .mayRunOnBoth(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .undecided(detail: "silent", limit: .seconds(600))),
        .inquiry(.agentRestarted, .definedThere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .definitionFoundThere(vm: "vm1", source: h1, target: h2)),
        .inquiry(.agentRestarted, .definedNowhere(vm: "vm1", source: h1, target: h2)),
        .sealed(.stayed(vm: "vm1", source: h1, cause: "declined")),
        .sealed(.notTakenBack(vm: "vm1", source: h1, cause: "declined", detail: "EIO")),
        .sealed(.beginningUnknown(vm: "vm1", source: h1, .absent)),
        .sealed(.notTakenUp(vm: "vm1", source: h1, target: h2)),
        .sealed(.malformedKey(vm: "vm1", source: h1, target: h2)), .sealed(.noKeyHere), .sealed(.imageNotOpen),
        .sealed(.notEncrypted(detail: "EIO")), .sealed(.notRecalled(id, detail: "EIO")),
        .sealed(.vmIs(.paused, vm: "vm1", host: h1)),
        .sealed(.noImage(.absent, vm: "vm1", host: h1, folder: "/dev/shm")),
        .sealed(.definedMeanwhile(vm: "vm1", host: h1, folder: "/dev/shm")),
        .sealed(.mayHaveRun(vm: "vm1")), .sealed(.failed(detail: "EIO")), .other("words"),
    ]

    @Test(arguments: reasons) func `a failure survives JSON, which has its code and its text`(
        _ reason: FailureReason
    ) throws {
        let whereabouts: [OrderFailure.Whereabouts] = [.at(Self.h1), .notLooked, .unknown]
        for whereabouts in whereabouts {
            let preflight = [PreflightFailure(check: .memory, host: Self.h2, reason: .other("too little"))]
            let failure = OrderFailure(.migration, reason, whereabouts, preflight: preflight)
            let data = try JSONEncoder().encode(failure)
            #expect(try JSONDecoder().decode(OrderFailure.self, from: data) == failure)
            let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            #expect(json["code"] as? String == reason.code && !reason.code.isEmpty)
            #expect(json["reason"] as? String == failure.text && !failure.text.isEmpty)
            #expect(json["runsOn"] as? String == (whereabouts == .at(Self.h1) ? "h1" : nil))
        }
    }

    @Test func `each reason has its own code`() {
        #expect(Set(Self.reasons.map(\.code)).count == Self.reasons.count)
    }

    @Test func `a failure from an older agent is read as text`() throws {
        let runs = #"{"kind":"migration","reason":"broken pipe","runsOn":"h1","preflight":[]}"#
        let doubt = #"{"kind":"inDoubt","reason":"lost","preflight":[]}"#
        func failure(_ json: String) throws -> OrderFailure {
            try JSONDecoder().decode(OrderFailure.self, from: Data(json.utf8))
        }
        #expect(try failure(runs) == OrderFailure(.migration, .other("broken pipe"), .at(Self.h1)))
        #expect(try failure(doubt) == OrderFailure(.inDoubt, .other("lost"), .unknown))
    }

    @Test func `a reason that only a newer agent knows keeps its text`() throws {
        let json = #"{"kind":"refused","reason":"too hot","code":"heat","cause":{"heat":{}},"whereabouts":"notLooked"}"#
        let failure = try JSONDecoder().decode(OrderFailure.self, from: Data(json.utf8))
        #expect(failure == OrderFailure(.refused, .other("too hot"), .notLooked))
    }

    static let missing: [PreflightFailure.Reason] = [
        .hypervisor(.silent(detail: "EOF")), .hypervisor(.otherType(vm: "xen", host: "qemu")),
        .hypervisor(.older(type: "qemu", host: "7.2.0", source: "8.0.0")),
        .hypervisor(.cannotRun(vm: "kvm x86_64 q35", detail: "no such machine")),
        .hypervisor(.cpuFeaturesMissing(domainType: "kvm", model: "EPYC")),
        .hypervisor(.cpuNotCompared(model: "EPYC", detail: "EOF")), .hypervisor(.cpuModelUnknown(.xen)),
        .hypervisor(.cpuModelDiffers(.hostPassthrough, source: "EPYC", host: "Skylake")),
        .hypervisor(.networkInactive("dmz")), .hypervisor(.networkMissing("dmz", detail: "none")),
        .hypervisor(.uuidActive(VMID("u"), state: "running")),
        .hypervisor(.uuidDefined(VMID("u"), name: "vm1", state: "shutOff", remedy: "virsh undefine")),
        .hypervisor(.nameTaken("vm1", by: "u2")), .hypervisor(.notRunning(VMID("u"), name: "vm1")),
        .hypervisor(.snapshots(2)), .hypervisor(.checkpoints(1)),
        .hypervisor(.notOff(VMID("u"), name: "vm1")), .hypervisor(.managedSave), .hypervisor(.hostState(.tpm)),
        .hypervisor(.hostState(.firmwareVariables)), .hypervisor(.offlineUnsupported(type: "xen")),
        .hypervisor(.unsafeCache(disk: "vda", mode: "writeback")), .hypervisor(.blockJob(disk: "vda")),
        .hypervisor(.hostDevice("pci")), .hypervisor(.sharedFolder("share")), .hypervisor(.confidentialGuest("sev")),
        .hypervisor(.nonMigratableDevice(.transientDisk("vda"))), .hypervisor(.failed(detail: "EOF")),
        .host(.localFile("/iso/a.iso", fileSystem: "ext4")),
        .host(.memoryShort(availableBytes: 1 << 30, neededBytes: 2 << 30, promisedBytes: 0)),
        .host(.memoryOverLimit(share: 96, limit: 90, promisedBytes: 1 << 30)), .host(.memoryUnknown(detail: "EIO")),
        .host(.noBridge("br0")), .host(.interfaceNotCheckable(type: "hostdev")),
        .host(.diskNotCheckable(type: "volume", detail: "pool p")), .host(.fileMissing("/a", detail: "ENOENT")),
        .host(.deviceWithoutIdentity("/dev/sdb")), .host(.otherDevice("/dev/sdb", here: nil, source: "naa.1")),
        .host(.takesNoOrders(detail: "ENOSPC")),
        .host(.unreadable(url: "iscsi://h/d/1", detail: "EIO")), .escort(.plainNotAllowed), .escort(.sealedNotOffered),
        .escort(.targetNotConfigured(h2)), .escort(.gatesNotOpened(detail: "EIO")),
        .escort(.closuresDamaged(detail: "EIO")), .escort(.failed(detail: "EIO")), .other("words"),
    ]

    @Test(arguments: missing) func `an unmet requirement survives JSON`(
        _ reason: PreflightFailure.Reason
    ) throws {
        let failure = PreflightFailure(check: .escort, host: Self.h2, reason: reason)
        let data = try JSONEncoder().encode(failure)
        #expect(try JSONDecoder().decode(PreflightFailure.self, from: data) == failure)
        let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(json["code"] as? String == reason.code && json["reason"] as? String == failure.text)
    }

    @Test func `each unmet requirement has its own code`() throws {
        #expect(Set(Self.missing.map(\.code)).count == Self.missing.count)
        let old = Data(#"{"check":"cpu","host":"h2","reason":"it has no avx2"}"#.utf8)
        let failure = try JSONDecoder().decode(PreflightFailure.self, from: old)
        #expect(failure == PreflightFailure(check: .cpu, host: Self.h2, reason: .other("it has no avx2")))
    }

    @Test func `only an answer that lasts is remembered, and no unknown one`() {
        #expect(PreflightFailure.Reason.hypervisor(.cpuFeaturesMissing(domainType: "kvm", model: "EPYC")).lasts)
        #expect(PreflightFailure.Reason.hypervisor(.networkIsLocal("default", mode: "nat")).lasts)
        for passing: PreflightFailure.Reason in [
            .host(.memoryShort(availableBytes: 1, neededBytes: 2, promisedBytes: 0)),
            .hypervisor(.silent(detail: "EOF")),
            .hypervisor(.networkInactive("dmz")), .hypervisor(.networkMissing("dmz", detail: "none")),
            .host(.noBridge("br0")), .host(.fileMissing("/a", detail: "ENOENT")), .other("words"),
            .host(.takesNoOrders(detail: "ENOSPC")), .escort(.sealedNotOffered),
        ] { #expect(!passing.lasts, "\(passing)") }
    }
}
