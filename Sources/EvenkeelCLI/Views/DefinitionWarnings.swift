// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import LibvirtXML

/// What in a stored definition reaches beyond the VM.
///
/// A member that is not trusted any more can have stored it. An operator must see these parts before a host runs them.
/// Names are compared without prefixes, as libvirt does in many places: too many warnings are better than a missing one.
struct DefinitionWarnings {
    private static let shown = 20

    private let root: XMLTree?
    private let problem: XMLProblem?
    /// All elements but the metadata of applications, which libvirt only stores.
    private let elements: [XMLTree]

    init(_ xml: String) {
        do throws(XMLProblem) {
            let root = try XMLTree(parsing: xml)
            var elements = [root]
            for child in root.children where child.name != "metadata" || child.namespace != nil {
                Self.collect(child, into: &elements)
            }
            (self.root, problem, self.elements) = (root, nil, elements)
        } catch { (root, problem, elements) = (nil, error, []) }
    }

    /// The recursion ends because the parser limits a document's depth.
    private static func collect(_ element: XMLTree, into elements: inout [XMLTree]) {
        elements.append(element)
        for child in element.children { collect(child, into: &elements) }
    }

    var text: [String] {
        if let problem {
            return [
                "warning: what it reaches beyond the VM cannot be checked: \(problem). Read it before you define it."
                    .plainText()
            ]
        }
        let parts = foreignParts + devices + programs + confinement
        var text: [String] = []
        if !parts.isEmpty {
            text.append(
                "warning: the definition has \(Self.list(parts)). Define it only if you know that it belongs to the "
                    + "VM: whoever stored it gains that access to the host."
            )
        }
        let (paths, sources) = (paths, sources)
        if !paths.isEmpty {
            text.append("It uses these paths of the host: \(Self.list(paths)). Check that they are the VM's.")
        }
        if !sources.isEmpty {
            text.append(
                "It uses these networks, disks or devices: \(Self.list(sources)). Check that they are the VM's."
            )
        }
        return text
    }

    /// The kinds of state that the VM keeps in files of its host.
    var stateInFiles: [String] {
        [("nvram", "UEFI variables"), ("tpm", "TPM state")].filter { has($0.0) }.map(\.1)
    }

    private func has(_ name: String) -> Bool { elements.contains { $0.localName == name } }

    /// Each text once, in order.
    private static func list(_ texts: some Sequence<String>) -> String {
        let texts = Set(texts).sorted()
        let more = texts.count > shown ? " and \(texts.count - shown) more" : ""
        return texts.prefix(shown).map { $0.plainText(limit: 120) }.joined(separator: ", ") + more
    }
}

/// The parts that an operator must know of, with the names of their elements.
extension DefinitionWarnings {
    private static let qemu = "http://libvirt.org/schemas/domain/qemu/1.0"

    /// Extensions of libvirt's format: they pass settings to the hypervisor that libvirt does not check.
    private var foreignParts: [String] {
        (root?.children ?? []).compactMap { element in
            switch (element.namespace, element.localName) {
            case (nil, _): nil
            case (Self.qemu, "commandline"): "arguments for QEMU's command line (qemu:commandline)"
            case (Self.qemu, "override"): "changes of QEMU's devices (qemu:override)"
            case (let space?, let name): "settings that libvirt does not check (\(name) of \(space))"
            }
        }
    }

    private var devices: [String] {
        elements.flatMap { element in
            let types = values("type", of: element)
            return (types.isEmpty ? [""] : types).compactMap { Self.device(element.localName, $0) }
                + rawAccess(of: element)
        }
    }

    /// Commands of the guest that reach a device of the host unchecked, and what its other users store there.
    private func rawAccess(of element: XMLTree) -> [String] {
        guard element.localName == "disk" || element.localName == "hostdev" else { return [] }
        let isRaw = values("rawio", of: element).contains("yes")
        let isUnfiltered = values("sgio", of: element).contains("unfiltered")
        return (isRaw ? ["raw access to a device (rawio)"] : [])
            + (isUnfiltered ? ["unfiltered commands to a device (sgio)"] : [])
    }

    private static func device(_ name: String, _ type: String) -> String? {
        switch (name, type) {
        case ("hostdev", _): "devices of the host (hostdev)"
        case ("interface", "hostdev"), ("interface", "vdpa"), ("disk", "nvme"), ("disk", "vhostvdpa"),
            ("input", "evdev"), ("input", "passthrough"), ("backend", "passthrough"), ("serial", "dev"),
            ("parallel", "dev"), ("console", "dev"), ("channel", "dev"):
            "devices of the host (\(name) \(type))"
        case ("smartcard", _): "devices of the host (smartcard)"
        case ("filesystem", _): "folders of the host (filesystem)"
        case ("shmem", _): "memory shared with other VMs (shmem)"
        default: nil
        }
    }

    /// Programs that libvirt starts, but for the usual names of QEMU.
    private var programs: [String] {
        elements.compactMap { element in
            switch element.localName {
            case "emulator":
                element.text.wholeMatch(of: Self.usualEmulator) == nil ? "another program as emulator (emulator)" : nil
            case "bootloader", "script", "downscript", "binary", "init":
                "programs that the host runs (\(element.localName))"
            default: nil
            }
        }
    }

    private static var usualEmulator: Regex<Substring> {
        /\/usr\/(?:bin\/(?:qemu-system-[a-z0-9_]+|qemu-kvm|kvm)|libexec\/qemu-kvm|lib\/xen(?:-[0-9.]+)?\/bin\/qemu-(?:dm|system-[a-z0-9_]+))/
    }

    /// Labels that turn off or replace the confinement that libvirt gives each VM.
    private var confinement: [String] {
        elements.contains { element in
            element.localName == "seclabel"
                && (values("type", of: element).contains { $0 != "dynamic" }
                    || values("relabel", of: element).contains("no")
                    || element.children.contains { $0.localName == "baselabel" })
        } ? ["a confinement of its own, or none (seclabel)"] : []
    }

    /// libvirt ignores the prefixes of attributes, so that an element can have several of a name.
    private func values(_ name: String, of element: XMLTree) -> [String] {
        element.attributes.filter { XMLTree.local($0.key) == name }.map(\.value)
    }
}

/// What the definition names outside of the VM.
extension DefinitionWarnings {
    private static let pathElements: Set<String> = [
        "emulator", "bootloader", "kernel", "initrd", "dtb", "loader", "nvram", "table", "init", "path",
    ]
    private static let pathAttributes: Set<String> = ["file", "path", "dir", "socket", "template"]
    private static let plainAttributes: Set<String> = ["index", "portid", "mode", "startupPolicy", "type"]

    /// Everything that is or may be a path: QEMU takes relative ones, too.
    private var paths: [String] {
        elements.flatMap { element in
            let values = element.attributes.filter {
                $0.value.hasPrefix("/") || Self.pathAttributes.contains(XMLTree.local($0.key))
            }
            .map(\.value)
            let text = Self.pathElements.contains(element.localName) ? element.text : element.ownText
            let isPath = text.hasPrefix("/") || Self.pathElements.contains(element.localName)
            return (values + (isPath ? [text] : [])).filter { !$0.isEmpty }
        }
    }

    /// The sources of disks, interfaces and consoles that are not paths, such as bridges, volumes and network storage.
    private var sources: [String] {
        elements.filter { $0.localName == "source" }.map { source in
            let hosts = source.children.filter { $0.localName == "host" }
            return ([source] + hosts).flatMap { element in
                element.attributes.sorted { $0.key < $1.key }.filter { attribute in
                    let name = XMLTree.local(attribute.key)
                    return !Self.plainAttributes.contains(name) && !Self.pathAttributes.contains(name)
                        && !attribute.value.hasPrefix("/")
                }
                .map { "\(XMLTree.local($0.key))=\($0.value)" }
            }
            .joined(separator: " ")
        }
        .filter { !$0.isEmpty }
    }
}
