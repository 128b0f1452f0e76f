// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

@testable import LibvirtDriver

@Suite struct ParsedTextsTests {
    @Test func `only changed text is parsed, and removed entries are forgotten`() {
        let texts = ParsedTexts<String, Int>()
        let parsed = Mutex(0)
        func value(_ text: String, _ key: String) -> Int {
            texts.value(of: text, for: key) { text in
                parsed.withLock { $0 += 1 }
                return text.count
            }
        }
        #expect(value("one", "a") == 3 && value("one", "a") == 3 && value("three", "b") == 5)
        #expect(parsed.withLock { $0 } == 2)
        #expect(value("four", "a") == 4)
        #expect(parsed.withLock { $0 } == 3)
        texts.keep(only: ["b"])
        #expect(value("four", "a") == 4 && value("three", "b") == 5)
        #expect(parsed.withLock { $0 } == 4)
    }
}
