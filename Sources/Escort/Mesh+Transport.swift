// SPDX-License-Identifier: Apache-2.0
internal import HostOS

extension Mesh {
    /// Throws unless this host can do transport mode, and its policies would cover what they must and nothing of ssh's.
    func checkTransport(_ implementation: ESPImplementation) async throws {
        guard implementation == .kernel else {
            throw EscortError.transportNotHere(
                reason: "charon encrypts in user space, where strongSwan's libipsec knows tunnel mode alone"
            )
        }
        let clients = TransportPorts.clients
        guard !(clients.contains(sshPort) || migrationPorts.contains(sshPort)), sshPort != Self.probePort else {
            throw EscortError.transportNotHere(
                reason:
                    "ssh has port \(sshPort) (escort.ssh_uri), which its policies could cover: ssh must not depend on"
                    + " IPsec, so give it one below \(clients.lowerBound)"
            )
        }
        let text = try await runner.require("reading the ports that programs connect from", Self.localPorts)
        guard let range = Self.range(in: text), clients.contains(range.lowerBound), clients.contains(range.upperBound)
        else {
            throw EscortError.transportNotHere(
                reason:
                    "programs connect from the ports \(text.split(whereSeparator: \.isWhitespace).joined(separator: "-"))"
                    + " here, and its policies cover \(clients.lowerBound)-\(clients.upperBound); set"
                    + " net.ipv4.ip_local_port_range to '\(clients.lowerBound) 60999'"
            )
        }
    }

    /// Of both families.
    private static let localPorts = Command(
        "cat",
        ["/proc/sys/net/ipv4/ip_local_port_range"],
        timeLimit: .seconds(5)
    )

    static func range(in text: String) -> ClosedRange<Int>? {
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard numbers.count == 2, numbers[0] <= numbers[1] else { return nil }
        return numbers[0]...numbers[1]
    }
}
