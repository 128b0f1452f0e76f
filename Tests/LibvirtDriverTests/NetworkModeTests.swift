// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LibvirtDriver

struct NetworkModeTests {
    @Test(arguments: [
        ("<forward mode='bridge'/><bridge name='br0'/>", nil),
        ("<forward mode='private'><interface dev='eth0'/></forward>", nil),
        ("<forward mode='nat'/><bridge name='virbr0'/>", "nat"),
        ("<forward/>", "nat"),
        ("<forward mode='route'/>", "route"),
        ("<forward mode='open'/>", "open"),
        ("<bridge name='virbr1'/>", "isolated"),
    ])
    func `only a network on the LAN continues on another host`(elements: String, mode: String?) {
        #expect(Preflight.localMode(of: "<network><name>n</name>\(elements)</network>") == mode)
    }
}
