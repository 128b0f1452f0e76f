// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@Suite struct UnitsTests {
    @Test(
        "a duration is written as people write it",
        arguments: [
            (Duration.zero, "0 s"), (.milliseconds(250), "250 ms"), (.seconds(90), "90 s"),
            (.milliseconds(1_500), "1.5 s"),
            (.milliseconds(601_049), "601 s"), (.milliseconds(-250), "-250 ms"), (.milliseconds(-1_500), "-1.5 s"),
            (.milliseconds(Int64.min), "-9223372036854775.8 s"),
        ]
    )
    func duration(_ duration: Duration, _ text: String) {
        #expect(duration.text == text)
    }
}
