// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import Foundation
internal import LibvirtXML

/// Identifies a VM's definition in 64 characters, for use in an order.
///
/// Leaves out whatever changes by itself: while the VM runs, at a start, or when the VM moves to another host.
/// Everything else counts, including elements this code does not know.
extension DomainDefinition {
    /// Returns the SHA-256 of the canonical text in hexadecimal.
    var digest: String {
        SHA256.hash(data: Data(canonicalText.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }

    /// Returns the same text for the same VM: no white space between elements, attributes in order.
    var canonicalText: String {
        var text = ""
        Self.write(root, path: [], to: &text)
        return text
    }

    /// Elements ignored everywhere: libvirt's aliases of devices, security labels, metadata of applications, the cgroup
    /// partition, the balloon size and libvirt's private data.
    private static let passing: Set<String> = [
        "currentMemory", "alias", "seclabel", "resource", "metadata", "privateData",
    ]

    private static func write(_ element: XMLTree, path: [String], to text: inout String) {
        let name = element.name
        text += "<\(name)"
        for (key, value) in attributes(of: element, path: path) { text += " \(key)=\(quoted(value))" }
        text += ">"
        for part in element.content {
            switch part {
            case .element(let child):
                if counts(child, in: element) { write(child, path: path + [name], to: &text) }
            case .text(let content):
                let content = content.trimmingCharacters(in: .whitespacesAndNewlines)
                if !content.isEmpty { text += quoted(content) }
            }
        }
        text += "</\(name)>"
    }

    private static func counts(_ child: XMLTree, in parent: XMLTree) -> Bool {
        let name = child.name
        if passing.contains(name) { return false }
        func has(_ attribute: String, _ values: String...) -> Bool {
            values.contains(child.attribute(attribute) ?? "")
        }
        switch (parent.name, name) {
        // Devices that every machine of the type has; libvirt does not list them in every form of the definition.
        case ("devices", "input"): return !has("bus", "ps2", "xen")
        case ("devices", "audio"): return !has("type", "none")
        // The name of a tap device, generated at each start.
        case ("interface", "target"): return !isGenerated(child.attribute("dev"))
        // The pseudo-terminal, allocated at each start.
        case ("console", "source"), ("serial", "source"), ("parallel", "source"), ("channel", "source"):
            guard parent.attribute("type") != "pty" else { return false }
            guard parent.name == "channel", let path = child.attribute("path") else {
                return true
            }
            // libvirt's default path of a guest agent's socket contains the domain's number.
            return !path.hasPrefix("/var/lib/libvirt/qemu/channel/") && !path.hasPrefix("/run/libvirt/qemu/channel/")
        default: return true
        }
    }

    private static func isGenerated(_ device: String?) -> Bool {
        guard let device else { return true }
        return ["vnet", "vif", "macvtap", "macvlan"].contains { device.hasPrefix($0) }
    }

    private static func attributes(of element: XMLTree, path: [String]) -> [(String, String)] {
        var found = element.attributes
        switch (path.last, element.name) {
        case (nil, _): found["id"] = nil
        case (_, "graphics") where found["autoport"] == "yes":
            for key in ["port", "tlsPort", "websocket"] { found[key] = nil }
        case (_, "console"), (_, "serial"): found["tty"] = nil
        // The interface's port in a libvirt network, and the network's bridge on this host.
        case ("interface", "source") where found["network"] != nil:
            for key in ["portid", "bridge"] { found[key] = nil }
        // libvirt renumbers a disk's images at each start.
        case ("disk", "source"), ("backingStore", "source"), ("mirror", "source"): found["index"] = nil
        case (_, "backingStore"): found["index"] = nil
        case ("channel", "target"): found["state"] = nil
        default: break
        }
        return found.sorted { $0.key < $1.key }
    }

    /// Quotes a text: no text can pass for mark-up, and different texts stay different.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
