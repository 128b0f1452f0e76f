// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

/// Records of earlier versions, whose agents observed each other's libvirt.
struct ContradictionTests {
    @Test func `a sample with observations of other hosts can be read`() throws {
        let sample = LoadSample(host: HostName("h1"), at: Instant(milliseconds: 5), vms: [])
        var text = String(decoding: try JSONEncoder().encode(sample), as: UTF8.self)
        text.replace("{", with: #"{"sightings":[{"host":"h2","cpus":8,"activeVMs":["u"]}],"#, maxReplacements: 1)
        #expect(try JSONDecoder().decode(LoadSample.self, from: Data(text.utf8)) == sample)
    }

    @Test(
        arguments: [
            (
                #"{"moreThanShown":{"claimed":{"cores":{"_0":32}},"shown":{"cores":{"_0":8}},"witnesses":["h2"]}}"#,
                "more-cores-than-shown"
            ),
            (
                #"{"moreAvailable":{"mebibytes":9,"shownMebibytes":8,"witnesses":["h2","h3"]}}"#,
                "more-available-than-shown"
            ),
            (#"{"unseenVM":{"name":"vm1","witnesses":["h2"]}}"#, "unseen-vm"),
            (#"{"hiddenVM":{"_0":"u","witnesses":["h2"]}}"#, "hidden-vm"),
        ]
    )
    func `a contradiction by witnesses can be read`(text: String, code: String) throws {
        #expect(try JSONDecoder().decode(Contradiction.self, from: Data(text.utf8)).code == code)
    }
}
