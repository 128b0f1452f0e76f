// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import LibvirtXML

/// The parts of a domain's XML definition that the driver uses.
struct DomainDefinition {
    let root: XMLTree

    init(xml: String) throws(HypervisorError) {
        let attempt = "read a domain definition"
        do throws(XMLProblem) { root = try XMLTree(parsing: xml) } catch {
            throw HypervisorError(.failed, attempt: attempt, detail: error.description)
        }
        guard root.name == "domain" else {
            throw HypervisorError(.failed, attempt: attempt, detail: "its root is <\(root.name)>, not <domain>")
        }
    }

    var name: String { root.text("name") ?? "" }
    var uuid: String { (root.text("uuid") ?? "").lowercased() }
    var domainType: String { root.attribute("type") ?? "" }
    var emulator: String? { root.child("devices")?.text("emulator") }
    var machine: String { root.child("os")?.child("type")?.attribute("machine") ?? "" }
    var architecture: String { root.child("os")?.child("type")?.attribute("arch") ?? "" }
    var cpuXML: String? { root.child("cpu")?.xml }
    /// Whether the guest sees the host's CPU unchanged.
    var seesHostCPU: Bool { root.child("cpu")?.attribute("mode") == "host-passthrough" }

    /// Returns the maximum number of virtual CPUs; throws if it cannot be read.
    func vcpus() throws(HypervisorError) -> Int {
        let text = root.text("vcpu")
        guard let count = text.flatMap({ Int($0) }), count > 0 else { throw Self.unreadable("vcpu", text) }
        return count
    }

    /// Returns the maximum memory in bytes; throws if it cannot be read.
    func memoryBytes() throws(HypervisorError) -> UInt64 {
        let memory = root.child("memory")
        let unit = memory?.attribute("unit") ?? "KiB"
        guard let amount = memory.flatMap({ UInt64($0.text) }), amount > 0, let factor = Self.bytes(in: unit) else {
            throw Self.unreadable("memory", memory?.xml)
        }
        let (bytes, overflow) = amount.multipliedReportingOverflow(by: factor)
        guard !overflow else { throw Self.unreadable("memory", memory?.xml) }
        return bytes
    }

    private static func unreadable(_ element: String, _ found: String?) -> HypervisorError {
        let detail = "its <\(element)> element is \(found.map { "unreadable: '\($0)'" } ?? "missing")"
        return HypervisorError(.failed, attempt: "read a domain definition", detail: detail)
    }

    /// The sources of all disks and their backing chains; drives without a medium have none.
    var disks: [DiskSource] { diskElements.flatMap { Self.sources(of: $0) } }

    /// The files of all disks and their backing chains; QEMU only reads a backing file.
    var files: [DiskFile] { diskElements.flatMap { Self.files(of: $0, isReadOnly: $0.child("readonly") != nil) } }

    private static func files(of element: XMLTree, isReadOnly: Bool) -> [DiskFile] {
        guard let source = element.child("source") else { return [] }
        let path = element.attribute("type") == "file" ? source.attribute("file") : nil
        let own = path.map { DiskFile(path: $0, isReadOnly: isReadOnly) }
        let backing = element.child("backingStore").map { files(of: $0, isReadOnly: true) }
        return (own.map { [$0] } ?? []) + (backing ?? [])
    }

    var networks: [NetworkSource] {
        (root.child("devices")?.children("interface") ?? []).map { interface in
            let type = interface.attribute("type") ?? "unknown"
            let source = interface.child("source")
            if type == "bridge", let name = source?.attribute("bridge") { return .bridge(name: name) }
            if type == "network", let name = source?.attribute("network") { return .network(name: name) }
            return .other(type: type)
        }
    }

    var diskElements: [XMLTree] { root.child("devices")?.children("disk") ?? [] }

    private static func sources(of element: XMLTree) -> [DiskSource] {
        guard let source = element.child("source") else { return [] }
        // A backing store has its own type, in the same attribute as the disk.
        let own = Self.source(source, type: element.attribute("type") ?? "unknown")
        return (own.map { [$0] } ?? []) + (element.child("backingStore").map { sources(of: $0) } ?? [])
    }

    private static func source(_ source: XMLTree, type: String) -> DiskSource? {
        switch type {
        case "file":
            return source.attribute("file").map { .file(path: $0) }
        case "block":
            return source.attribute("dev").map { .block(path: $0, identity: nil) }
        case "network" where source.attribute("protocol") == "iscsi":
            return iscsi(source)
        case "network":
            let what = [source.attribute("protocol"), source.attribute("name")].compactMap { $0 }
            return .other(type: type, detail: what.joined(separator: " "))
        default:
            let what = ["pool", "volume", "dir", "type", "path"].compactMap { source.attribute($0) }
            return .other(type: type, detail: what.joined(separator: " "))
        }
    }

    /// Returns the iSCSI source whose `name` is `IQN` or `IQN/LUN`; libvirt's defaults are LUN 0 and port 3260.
    private static func iscsi(_ source: XMLTree) -> DiskSource {
        let name = source.attribute("name") ?? ""
        let parts = name.split(separator: "/", maxSplits: 1)
        let host = source.child("host")
        guard let iqn = parts.first, let address = host?.attribute("name") else {
            return .other(type: "network", detail: "iscsi \(name)")
        }
        return .iscsi(
            address: address,
            port: host?.attribute("port").flatMap { Int($0) } ?? 3260,
            iqn: String(iqn),
            lun: parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        )
    }

    /// Returns the bytes of a libvirt unit: `KB` is 1000, `KiB` and `k` are 1024; `nil` for an unknown unit.
    private static func bytes(in name: String) -> UInt64? {
        switch name {
        case "b", "bytes": 1
        case "KB": 1000
        case "MB": 1_000_000
        case "GB": 1_000_000_000
        case "TB": 1_000_000_000_000
        case "M", "MiB": 1 << 20
        case "G", "GiB": 1 << 30
        case "T", "TiB": 1 << 40
        case "k", "KiB": 1 << 10
        default: nil
        }
    }
}
