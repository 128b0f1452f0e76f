// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Why there is no protected path: the failure, its object, and the next step.
///
/// No message contains a key.
public enum EscortError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No mesh can be built from the inventory.
    case badInventory(reason: String)
    case badCredentials(path: String, reason: String)
    /// charon does not answer on its control socket.
    case charonNotRunning(socket: String, reason: String)
    /// Loading the mesh would unload connections that are not ours.
    case foreignConnections(names: [String])
    /// swanctl, nft or ip failed.
    case refused(step: String, reason: String)
    case unknownPeer(HostName)
    /// The peer was removed from the cluster at this time.
    case removedPeer(HostName, at: Instant)
    /// The mesh has not been applied on this host since the agent started.
    case notApplied
    /// No answer within the time limit: the peer, its charon or the network between is down.
    case peerDoesNotAnswer(HostName, reason: String)
    case authenticationFailed(HostName)
    case noProposalChosen(HostName)
    /// The peer's mesh has other tunnel addresses.
    case differentSelectors(HostName)
    /// An SA exists, but is weaker than this fleet requires.
    case weakAssociation(HostName, TunnelWeakness)
    /// Packets to the peer would not enter IPsec.
    case wrongRoute(HostName, reason: String)
    /// IKE answers, but packets through the tunnel are not answered.
    case noTrafficThroughTunnel(HostName, reason: String)
    /// The peer's TLS port does not present a valid certificate and a strong enough suite.
    case noTLS(HostName, reason: String)
    /// The peer refuses the ssh login, or its host key is not the known one.
    case noSSH(HostName, reason: String)
    /// This host is not configured for the channel.
    case channelNotHere(Channel, reason: String)
    /// A port that the peer's gates should protect answers.
    case gateOpen(HostName, address: String, port: Int)
    /// The probe does not show whether the peer's gates are closed.
    case gateUnproven(HostName, address: String, port: Int)
    /// Migrations that could continue in the clear are under way; lists their target addresses and ports.
    case streamsUnderWay(to: [String])
    /// A move to this peer is under way.
    case inUse(HostName)

    public var description: String {
        switch self {
        case .badInventory(let reason):
            "cannot build the mesh from the inventory: \(reason); correct 'hosts' in the configuration"
        case .badCredentials(let path, let reason): "cannot use the keys in '\(path)': \(reason)"
        case .charonNotRunning(let socket, let reason):
            "charon does not answer at \(socket) (\(reason)); start strongSwan on this host"
        case .foreignConnections(let names):
            "cannot load the mesh: charon would unload its connections \(names.joined(separator: ", "));"
                + " write the mesh to strongSwan's conf.d instead"
        case .refused(let step, let reason): "\(step) failed: \(reason)"
        case .unknownPeer(let peer): "\(peer) is not a peer in this host's mesh; check the inventory"
        case .removedPeer(let peer, let at):
            "\(peer) was removed from the cluster on \(at.readable), so no tunnel or gate is opened for it;"
                + " \(peer.additionHint)"
        case .notApplied: "the mesh is not applied on this host yet; wait, or look for the reason in the agent's log"
        case .peerDoesNotAnswer(let peer, let reason):
            "\(peer) does not answer over IKE (\(reason)); check that strongSwan runs there and UDP 500 and 4500 pass"
        case .authenticationFailed(let peer):
            "\(peer) and this host do not accept each other's credentials; check that both have valid certificates of"
                + " this cluster (or the same pre-shared key) and their names in the inventory"
        case .noProposalChosen(let peer):
            "\(peer) accepts neither AES-GCM-256 nor X25519; check its strongSwan plugins and its mesh"
        case .differentSelectors(let peer):
            "\(peer) and this host disagree on the tunnel's addresses; check that both have the same inventory"
        case .weakAssociation(let peer, let weakness):
            "the tunnel to \(peer) is too weak: \(weakness); check escort.minimum_suite on both hosts, and that strongSwan"
                + " has no other connection between them"
        case .wrongRoute(let peer, let reason):
            "packets to \(peer) do not enter IPsec: \(reason); check 'ip rule', 'ip route get' and 'ip xfrm policy' for"
                + " its inner address; strongSwan's route (table 220) must take precedence"
        case .noTrafficThroughTunnel(let peer, let reason):
            "the tunnel to \(peer) is up, but no packets return through it (\(reason)); check that firewalls pass ESP"
        case .noTLS(let peer, let reason):
            "\(peer) does not present a valid certificate over TLS (\(reason)); check libvirtd's TLS there (port"
                + " \(TLSHandshake.port)) and both hosts' certificates ('evenkeel certificates')"
        case .noSSH(let peer, let reason):
            "cannot log in to \(peer) over ssh (\(reason)); check root's key there and its host key here"
        case .channelNotHere(let channel, let reason): "channel '\(channel.rawValue)' is not available here: \(reason)"
        case .gateOpen(let peer, let address, let port):
            "port \(port) of \(peer) answers at \(address) although no pinhole is open: its gates are not closed; check"
                + " 'nft list table inet evenkeel' there"
        case .gateUnproven(let peer, let address, let port):
            "cannot determine whether port \(port) of \(peer) is closed at \(address): the network rejected the probe;"
                + " let the firewalls on the way pass it, so that \(peer)'s gates answer"
        case .streamsUnderWay(let ends):
            "migrations to \(ends.joined(separator: ", ")) are under way and could continue in the clear;"
                + " wait until they end, or abort them ('virsh domjobabort'), and try again"
        case .inUse(let peer):
            "a move to \(peer) is under way; wait until it ends: the evidence of each move needs the tunnel to itself"
        }
    }
}
