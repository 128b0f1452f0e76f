// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HostOS

/// What is logged of a failure that lasts.
struct LastingFailureTests {
    @Test func `each new reason is reported once, and then the end`() {
        let failure = LastingFailure()
        #expect(failure.take(nil) == nil, "nothing has failed")
        #expect(failure.take("no space") == .began(reason: "no space"))
        #expect(failure.take("no space") == nil)
        #expect(failure.reason == "no space")
        #expect(failure.take("read-only") == .began(reason: "read-only"))
        #expect(failure.take(nil) == .ended)
        #expect(failure.reason == nil)
        #expect(failure.take(nil) == nil)
    }
}
