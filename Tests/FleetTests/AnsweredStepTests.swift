// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

struct AnsweredStepTests {
    @Test(arguments: [true, false, nil])
    func `an answer keeps whether the VM is persistent, which older agents do not state`(
        isPersistent: Bool?
    ) throws {
        let step = OrderStep.answered(
            presence: .running,
            question: Instant(milliseconds: 9000),
            isPersistent: isPersistent
        )
        let json = try JSONEncoder().encode(step)
        #expect(String(decoding: json, as: UTF8.self).contains("isPersistent") == (isPersistent != nil))
        #expect(try JSONDecoder().decode(OrderStep.self, from: json) == step)
    }
}
