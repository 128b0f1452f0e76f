// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What in a stored definition reaches beyond the VM.
///
/// A member that is not trusted any more can have stored it. An operator must see these parts before a host runs them.
struct DefinitionWarnings {
    private let xml: String
    private static let pathsShown = 20

    init(_ xml: String) { self.xml = xml }

    /// The names of elements have no other spelling in XML.
    private static let parts = [
        (":commandline", "arguments for QEMU's command line (qemu:commandline)"),
        (":override", "changes of QEMU's devices (qemu:override)"),
        ("hostdev", "devices of the host (hostdev)"),
        ("<filesystem", "folders of the host (filesystem)"),
    ]

    var text: [String] {
        let found = Self.parts.filter { xml.contains($0.0) }.map(\.1)
        var text: [String] = []
        if !found.isEmpty {
            text.append(
                "warning: the definition has \(found.joined(separator: ", ")). Define it only if you know that it belongs to the "
                    + "VM: whoever stored it gains that access to the host."
            )
        }
        let paths = paths
        if !paths.isEmpty {
            let more = paths.count > Self.pathsShown ? " and \(paths.count - Self.pathsShown) more" : ""
            let shown = paths.prefix(Self.pathsShown).map { $0.plainText(limit: 120) }.joined(separator: ", ")
            text.append("It uses these paths of the host: \(shown)\(more). Check that they are the VM's.")
        }
        return text
    }

    /// Absolute paths in attributes and elements, in order, each once.
    private var paths: [String] {
        let attributes = xml.matches(of: /=(?:'(\/[^']*)'|"(\/[^"]*)")/).compactMap { $0.output.1 ?? $0.output.2 }
        let elements = xml.matches(of: />\s*(\/[^<]*)</).map(\.output.1)
        return Set((attributes + elements).map(String.init)).sorted()
    }
}
