// SPDX-License-Identifier: Apache-2.0
internal import CLibXML2
internal import Foundation

/// An element of an XML document with its whole content, as a value.
///
/// libxml2 parses; its document is freed before the initialiser returns. (FoundationXML leaks memory on Linux with
/// every document.)
package struct XMLTree: Equatable, Sendable {
    /// The name with its prefix, such as `qemu:commandline`.
    package let name: String
    /// The URI of the name's namespace; `nil` if it has none.
    package let namespace: String?
    package let attributes: [String: String]
    package let content: [Content]

    package enum Content: Equatable, Sendable {
        case element(XMLTree)
        case text(String)
    }

    /// Parses a document into its root element.
    ///
    /// A document type declaration is refused: libvirt writes none, and its entities could hide or multiply text.
    package init(parsing text: String) throws(XMLProblem) {
        _ = Self.isInitialised
        let options = XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
        let bytes = Array(text.utf8)
        guard let size = Int32(exactly: bytes.count) else { throw .malformed("it is larger than 2 GiB") }
        let document = bytes.withUnsafeBytes { buffer in
            xmlReadMemory(
                buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
                size,
                nil,
                "UTF-8",
                Int32(options | XML_PARSE_NOCDATA.rawValue)
            )
        }
        guard let document else { throw .malformed(Self.lastProblem) }
        defer { xmlFreeDoc(document) }
        guard document.pointee.intSubset == nil else { throw .hasDocumentType }
        guard let root = xmlDocGetRootElement(document) else { throw .malformed("it has no element") }
        self.init(copying: root)
    }

    /// Copies an element; the recursion ends because libxml2 limits a document's depth to 256 elements.
    private init(copying node: xmlNodePtr) {
        name = Self.qualifiedName(node.pointee.name, node.pointee.ns)
        namespace = node.pointee.ns?.pointee.href.map(Self.string)
        var attributes: [String: String] = [:]
        var attribute = node.pointee.properties
        while let current = attribute {
            let value = xmlNodeListGetString(node.pointee.doc, current.pointee.children, 1)
            attributes[Self.qualifiedName(current.pointee.name, current.pointee.ns)] = value.map(Self.string) ?? ""
            evenkeel_xml_free(value)
            attribute = current.pointee.next
        }
        self.attributes = attributes
        var content: [Content] = []
        var child = node.pointee.children
        while let current = child {
            switch current.pointee.type {
            case XML_ELEMENT_NODE: content.append(.element(XMLTree(copying: current)))
            case XML_TEXT_NODE: if let text = current.pointee.content { content.append(.text(Self.string(text))) }
            // Comments and processing instructions are not part of a domain's definition.
            default: break
            }
            child = current.pointee.next
        }
        self.content = content
    }

    private static let isInitialised: Bool = {
        // Must run before several threads parse.
        xmlInitParser()
        return true
    }()

    private static var lastProblem: String {
        guard let error = xmlGetLastError(), let message = error.pointee.message else { return "not well-formed" }
        let text = String(cString: message).trimmingCharacters(in: .whitespacesAndNewlines)
        return "\(text) (line \(error.pointee.line))"
    }

    private static func qualifiedName(_ name: UnsafePointer<xmlChar>?, _ space: xmlNsPtr?) -> String {
        let name = name.map(string) ?? ""
        guard let prefix = space?.pointee.prefix else { return name }
        return "\(string(prefix)):\(name)"
    }

    private static func string(_ text: UnsafePointer<xmlChar>) -> String { String(cString: text) }
    private static func string(_ text: UnsafeMutablePointer<xmlChar>) -> String { String(cString: text) }
}

/// Reasons why a text is not an XML document that Evenkeel reads.
package enum XMLProblem: Error, Equatable, CustomStringConvertible {
    case malformed(String)
    case hasDocumentType

    package var description: String {
        switch self {
        case .malformed(let detail): "not a well-formed XML document: \(detail)"
        case .hasDocumentType: "the XML document has a DOCTYPE, which libvirt never writes"
        }
    }
}

extension XMLTree {
    /// The name without its prefix.
    package var localName: String { Self.local(name) }

    /// Returns the name of an element or attribute without its prefix.
    package static func local(_ name: String) -> String { name.split(separator: ":").last.map(String.init) ?? name }

    package var children: [XMLTree] {
        content.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }

    package func children(_ name: String) -> [XMLTree] { children.filter { $0.name == name } }

    package func child(_ name: String) -> XMLTree? { children.first { $0.name == name } }

    package func attribute(_ name: String) -> String? { attributes[name] }

    /// Returns the trimmed text of the first child element with that name.
    package func text(_ name: String) -> String? { child(name)?.text }

    /// All text inside the element, without leading and trailing white space.
    package var text: String {
        var joined = ""
        appendText(to: &joined)
        return joined.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The text of the element without that of its children, and without leading and trailing white space.
    package var ownText: String {
        content.map { if case .text(let text) = $0 { text } else { "" } }.joined()
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func appendText(to joined: inout String) {
        for part in content {
            switch part {
            case .text(let text): joined += text
            case .element(let element): element.appendText(to: &joined)
            }
        }
    }

    /// The element as XML, attributes ordered by name.
    package var xml: String {
        var start = "<\(name)"
        for (key, value) in attributes.sorted(by: { $0.key < $1.key }) { start += " \(key)=\"\(Self.escaped(value))\"" }
        guard !content.isEmpty else { return start + "/>" }
        let inner = content.map { part in
            switch part {
            case .text(let text): Self.escaped(text)
            case .element(let element): element.xml
            }
        }
        return "\(start)>\(inner.joined())</\(name)>"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
