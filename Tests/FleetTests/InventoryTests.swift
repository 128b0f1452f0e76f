// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@Suite struct InventoryTests {
    @Test func `only an IPv6 address is in brackets in a URI`() {
        #expect("fd78::1".inURI == "[fd78::1]")
        #expect("10.78.0.1".inURI == "10.78.0.1")
        #expect("storage.example".inURI == "storage.example")
    }
}
