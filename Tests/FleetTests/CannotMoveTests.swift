// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

/// Why a VM cannot move, as samples state it.
struct CannotMoveTests {
    private func decoded(_ json: String) throws -> VMSample {
        try JSONDecoder().decode(VMSample.self, from: Data(json.utf8))
    }

    private func sample(_ reasons: String) -> String {
        #"{"id":"u","name":"vm1","state":"running","cannotMove":\#(reasons)}"#
    }

    @Test func `a sample states the reasons with code and text, and survives JSON`() throws {
        let reasons: [PreflightFailure.Reason] = [
            .hypervisor(.hostDevice("pci")), .host(.localFile("/iso/a.iso", fileSystem: "ext4")), .other("words"),
        ]
        let vm = VMSample(id: VMID("u"), name: "vm1", state: .running, cannotMove: CannotMove(reasons))
        let data = try JSONEncoder().encode(vm)
        #expect(try JSONDecoder().decode(VMSample.self, from: data) == vm)
        let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let stated = try #require(json["cannotMove"] as? [[String: Any]])
        #expect(stated.map { $0["code"] as? String } == ["host-device", "local-file", "other"])
        #expect(stated.first?["reason"] as? String == "the VM uses a device of this host (pci): detach it")
    }

    @Test func `a VM without a reason can move`() throws {
        #expect(CannotMove([]) == nil)
        #expect(try decoded(#"{"id":"u","name":"vm1","state":"running"}"#).cannotMove == nil)
        let data = try JSONEncoder().encode(VMSample(id: VMID("u"), name: "vm1", state: .running))
        #expect(!String(decoding: data, as: UTF8.self).contains("cannotMove"))
    }

    @Test func `a reason that only a newer agent knows keeps its text`() throws {
        let vm = try decoded(sample(#"[{"code":"heat","reason":"too hot","cause":{"heat":{}}}]"#))
        #expect(vm.cannotMove?.reasons == [.other("too hot")] && vm.cannotMove?.text == "too hot")
    }

    @Test func `the number and the length of reasons are bounded, also when they are read`() throws {
        let long = String(repeating: "x", count: 100_000)
        let many = Array(repeating: #"{"code":"other","reason":"\#(long)"}"#, count: 100).joined(separator: ",")
        let vm = try decoded(sample("[\(many)]"))
        let reasons = try #require(vm.cannotMove?.reasons)
        #expect(reasons.count == 3 && reasons.allSatisfy { $0.text.count <= 400 })
        let own = try #require(CannotMove([.hypervisor(.failed(detail: long))]))
        #expect(own.reasons.allSatisfy { $0.text.count <= 400 })
    }
}
