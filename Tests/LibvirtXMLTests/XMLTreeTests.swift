// SPDX-License-Identifier: Apache-2.0
import Foundation
import LibvirtXML
import Testing

@Suite struct XMLTreeTests {
    @Test func `elements, attributes and text are read, and comments are ignored`() throws {
        let tree = try XMLTree(parsing: "<a x='1' y='&lt;'><!-- no --><b> one </b><b><![CDATA[<two>]]></b></a>")
        #expect(tree.name == "a" && tree.attributes == ["x": "1", "y": "<"])
        #expect(tree.children("b").map(\.text) == ["one", "<two>"])
        #expect(tree.text("b") == "one" && tree.child("c") == nil)
    }

    @Test func `a name keeps its prefix`() throws {
        let tree = try XMLTree(parsing: "<d xmlns:qemu='urn:q'><qemu:arg qemu:v='1' w='2'/></d>")
        #expect(tree.children.first?.name == "qemu:arg")
        #expect(tree.children.first?.attributes == ["qemu:v": "1", "w": "2"])
    }

    @Test func `a name has the URI of its namespace, whatever its prefix`() throws {
        let tree = try XMLTree(parsing: "<d xmlns:x='urn:q'><x:arg/><arg xmlns='urn:q'/><y:arg/></d>")
        #expect(tree.namespace == nil)
        #expect(tree.children.map(\.namespace) == ["urn:q", "urn:q", nil])
        #expect(tree.children.map(\.localName) == ["arg", "arg", "arg"])
    }

    @Test func `an element's own text is without that of its children`() throws {
        let tree = try XMLTree(parsing: "<a> &#47;x<b>y</b>/z\n</a>")
        #expect(tree.text == "/xy/z" && tree.ownText == "/x/z")
    }

    @Test func `a written tree parses as the same tree`() throws {
        let tree = try XMLTree(
            parsing: "<cpu mode='custom' q=\"'&quot;\"><model>a&amp;b</model><feature name='x'/></cpu>"
        )
        #expect(try XMLTree(parsing: tree.xml) == tree)
    }

    @Test(arguments: ["", "<a>", "<a/><b/>", "text", "<a b=1/>", "<a>\u{1}</a>"])
    func `malformed text is refused with the reason`(text: String) throws {
        let problem = #expect(throws: XMLProblem.self) { try XMLTree(parsing: text) }
        guard case .malformed(let detail) = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        #expect(!detail.isEmpty)
    }

    @Test(arguments: [
        "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>",
        "<!DOCTYPE a [<!ENTITY x 'aaaa'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>",
    ])
    func `a document type declaration is refused, and so is every entity`(text: String) {
        #expect(throws: XMLProblem.hasDocumentType) { try XMLTree(parsing: text) }
    }

    @Test func `unlimited nesting is refused`() {
        let deep = String(repeating: "<a>", count: 5000) + String(repeating: "</a>", count: 5000)
        #expect(throws: XMLProblem.self) { try XMLTree(parsing: deep) }
    }

    /// FoundationXML kept about 70 KiB of each of these documents: 140 MiB in all.
    @Test func `memory does not grow with the number of documents parsed`() throws {
        let feature = "<feature name='a-long-name-of-a-feature' policy='require'><x>text</x></feature>"
        let document = "<capabilities>\(String(repeating: feature, count: 200))</capabilities>"
        func parse(_ times: Int) throws {
            for _ in 0..<times { #expect(try XMLTree(parsing: document).children.count == 200) }
        }
        try parse(50)
        let before = try residentBytes()
        try parse(2000)
        let growth = try residentBytes() - before
        // Other tests run at the same time and use some memory.
        #expect(growth < 48 << 20, "\(growth) bytes")
    }

    private func residentBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(Int(line.filter(\.isNumber))) * 1024
    }
}
