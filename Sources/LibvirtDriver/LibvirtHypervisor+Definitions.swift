// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Foundation
internal import Glibc
public import Hypervisor

extension LibvirtHypervisor {
    /// Returns the definition of every persistent VM, as `virsh dumpxml --inactive` prints it.
    ///
    /// Costs two listing calls and one call per VM, each of which libvirt answers from its memory. libvirt has no
    /// cheaper sign that a definition has changed. The XML is parsed only if it has.
    public func definitions() async throws(HypervisorError) -> PersistentDefinitions {
        try await sampling.run("read the definitions on \(connector.uri)") { try $0.definitions() }
    }
}

extension Connection {
    fileprivate func definitions() throws(LibvirtError) -> PersistentDefinitions {
        var starting: Set<VMID> = []
        try forEachDomain(VIR_CONNECT_LIST_DOMAINS_PERSISTENT, VIR_CONNECT_LIST_DOMAINS_AUTOSTART) { domain in
            if let id = Self.uuid(of: domain) { starting.insert(id) }
        }
        var definitions: [VMDefinition] = []
        var unreadable: [PersistentDefinitions.Unreadable] = []
        try forEachDomain(VIR_CONNECT_LIST_DOMAINS_PERSISTENT) { (domain) throws(LibvirtError) in
            guard let id = Self.uuid(of: domain), let name = virDomainGetName(domain).map({ String(cString: $0) })
            else { return }
            do throws(LibvirtError) {
                // Without VIR_DOMAIN_XML_SECURE: passwords of consoles must not reach the shared storage.
                let text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE.rawValue)
                let xml = try takeString(text, from: "virDomainGetXMLDesc")
                definitions.append(
                    VMDefinition(
                        id: id,
                        name: name,
                        xml: xml,
                        digest: definitionDigests.value(of: xml, for: id) { try? DomainDefinition(xml: $0).digest },
                        startsWithHost: starting.contains(id)
                    )
                )
            } catch {
                // It was undefined a moment ago. After any other error it must not look as if it were gone.
                if error.is(VIR_ERR_NO_DOMAIN) { return }
                // A lost connection would return none of the others, either.
                guard isAlive else { throw error }
                unreadable.append(PersistentDefinitions.Unreadable(id: id, name: name, reason: error.detail))
            }
        }
        definitionDigests.keep(only: Set(definitions.map(\.id)))
        return PersistentDefinitions(
            definitions.sorted { $0.id < $1.id },
            unreadable: unreadable.sorted { $0.id < $1.id }
        )
    }

    private func forEachDomain(
        _ filters: virConnectListAllDomainsFlags...,
        body: (virDomainPtr) throws(LibvirtError) -> Void
    ) throws(LibvirtError) {
        var domains: UnsafeMutablePointer<virDomainPtr?>?
        let flags = filters.reduce(0) { $0 | $1.rawValue }
        let count = virConnectListAllDomains(handle.pointer, &domains, flags)
        guard count >= 0 else { throw .last(in: "virConnectListAllDomains") }
        let list = UnsafeBufferPointer(start: domains, count: Int(count))
        defer {
            for domain in list { if let domain { virDomainFree(domain) } }
            free(domains)
        }
        for domain in list { if let domain { try body(domain) } }
    }
}
