// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// The files for a new host: its identity folder, its entry in the configuration, and the instructions.
struct HostBundle {
    let folder: String
    let host: InventoryHost

    var identityFolder: String { "\(folder)/identity" }

    func writeTexts() throws {
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: "\(folder)/host.yaml"))
        try Data(readme.utf8).write(to: URL(fileURLWithPath: "\(folder)/README"))
    }

    private var configuration: String {
        """
        # Add this entry to 'hosts' in /etc/evenkeel/evenkeel.yaml on every host and on the controller's machine.
        hosts:
          - name: "\(host.name)"
            address: "\(host.address)"
            inner_address: "\(host.innerAddress)"
            libvirt_uri: "\(host.libvirtURI)"

        """
    }

    private var readme: String {
        """
        Identity of host \(host.name). identity/key.pem is secret: anyone who has it can impersonate \(host.name).

        1. On \(host.name), as root:
             install -d -m 700 /etc/evenkeel/identity
             install -m 600 identity/key.pem /etc/evenkeel/identity/
             install -m 644 identity/*.json identity/c*.pem /etc/evenkeel/identity/
        2. Add the entry in host.yaml to 'hosts' in /etc/evenkeel/evenkeel.yaml on every host and on the controller's
           machine, and restart the agents.
        3. Delete this folder.

        """
    }
}
