// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// The controller's news about moves that have ended.
struct ControllerNewsTests {
    private func text(_ kind: OrderFailure.Kind) -> String {
        let failure = OrderFailure(kind, .move(.hypervisor(detail: "libvirtd has ended")), .unknown)
        return "\(ControllerNews.notMoved(vmName: "vm1", Path(source: h1, target: h2), failure))"
    }

    @Test func `news about a VM that was found at the target says so`() {
        let failure = OrderFailure(
            .inDoubt,
            .inquiry(.moveFailed, .foundThere(vm: "vm1", source: h1, target: h2)),
            .at(h2)
        )
        let text = "\(ControllerNews.notMoved(vmName: "vm1", Path(source: h1, target: h2), failure))"
        #expect(text.hasPrefix("vm1 is on h2, although its move from h1 had failed: "))
    }

    @Test func `news about a move in doubt does not claim that the VM stayed`() {
        #expect(text(.migration) == "failed to move vm1 from h1 to h2: libvirtd has ended")
        #expect(text(.inDoubt) == "the end of moving vm1 from h1 to h2 is in doubt: libvirtd has ended")
    }
}
