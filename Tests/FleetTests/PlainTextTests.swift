// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

struct PlainTextTests {
    @Test(
        arguments: [
            ("web-1 é 東京", "web-1 é 東京"), ("\u{1B}[2J", "\\u{1B}[2J"), ("a\nb\r\u{7}", "a\\u{A}b\\u{D}\\u{7}"),
            ("\u{9B}31m", "\\u{9B}31m"), ("a\u{202E}b", "a\\u{202E}b"), ("a\u{2028}b", "a\\u{2028}b"),
        ]
    )
    func `unprintable characters are escaped`(text: String, shown: String) {
        #expect(text.plainText() == shown)
    }

    @Test func `long text is truncated`() {
        #expect(String(repeating: "x", count: 80).plainText(limit: 80).count == 80)
        let cut = String(repeating: "x", count: 81).plainText(limit: 80)
        #expect(cut.count == 80 && cut.hasSuffix("x…"))
        // Many marks on one letter are one character, and many scalars.
        #expect(("x" + String(repeating: "\u{301}", count: 10_000)).plainText(limit: 80).unicodeScalars.count <= 81)
        #expect(String(repeating: "\u{1B}", count: 80).plainText(limit: 80).count == 80)
    }
}
