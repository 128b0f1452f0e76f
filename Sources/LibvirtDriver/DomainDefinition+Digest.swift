// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import Foundation

/// What a VM is, in 64 characters, so that an order can name it.
///
/// What is left out changes by itself: while the VM runs, by a start, or by a move to another host. Everything else
/// counts, known to this code or not.
extension DomainDefinition {
    /// SHA-256 of the definition's canonical text, in hexadecimal.
    var digest: String {
        SHA256.hash(data: Data(canonicalText.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0\(digits)" : digits
        }.joined()
    }

    /// The same text for the same VM: no white space between elements, attributes in order.
    var canonicalText: String {
        var text = ""
        Self.write(root, path: [], to: &text)
        return text
    }

    /// Elements left out wherever they are: names libvirt gives to devices, labels it gives to processes, what
    /// applications note down, and where its own cgroup is.
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
        // Devices that every machine of the type has: libvirt lists them for one reader and not for another.
        case ("devices", "input"): return !has("bus", "ps2", "xen")
        case ("devices", "audio"): return !has("type", "none")
        // A tap device's name, made at each start.
        case ("interface", "target"): return !isGenerated(child.attribute("dev"))
        // The pseudo-terminal that the start made.
        case ("console", "source"), ("serial", "source"), ("parallel", "source"), ("channel", "source"):
            guard parent.attribute("type") != "pty" else { return false }
            guard parent.name == "channel", let path = child.attribute("path") else {
                return true
            }
            // libvirt's own path for a guest agent's socket has the domain's number in it.
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
        // An interface's port in a libvirt network, and the bridge that the network has on this host.
        case ("interface", "source") where found["network"] != nil:
            for key in ["portid", "bridge"] { found[key] = nil }
        // libvirt numbers a disk's images anew at each start.
        case ("disk", "source"), ("backingStore", "source"), ("mirror", "source"): found["index"] = nil
        case (_, "backingStore"): found["index"] = nil
        case ("channel", "target"): found["state"] = nil
        default: break
        }
        return found.sorted { $0.key < $1.key }
    }

    /// So that no text can be taken for mark-up, or two texts for one another.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
