// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Why there is no protected path: what happened, to what, and what to do.
///
/// No message carries a key.
public enum EscortError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The inventory cannot be turned into a mesh.
    case badInventory(reason: String)
    case badCredentials(path: String, reason: String)
    /// charon does not answer on its control socket.
    case charonNotRunning(socket: String, reason: String)
    /// Loading the mesh would unload connections that are not ours.
    case foreignConnections(names: [String])
    /// swanctl, nft or ip refused what it was given.
    case refused(step: String, reason: String)
    case unknownPeer(HostName)
    /// The peer was removed from the cluster then.
    case removedPeer(HostName, at: Instant)
    /// The mesh was not applied on this host since the agent started.
    case notApplied
    /// No answer within the time limit: the peer, its charon or the network between is down.
    case peerDoesNotAnswer(HostName, reason: String)
    case authenticationFailed(HostName)
    case noProposalChosen(HostName)
    /// The peer's mesh is for other addresses.
    case differentSelectors(HostName)
    /// An SA is there, but not of the strength this fleet demands.
    case weakAssociation(HostName, TunnelWeakness)
    /// The peer would not be reached through IPsec.
    case wrongRoute(HostName, reason: String)
    /// IKE answers, but what is sent through the tunnel is not answered.
    case noTrafficThroughTunnel(HostName, reason: String)
    /// The peer's TLS port does not show a certificate and a suite that are good enough.
    case noTLS(HostName, reason: String)
    /// The peer does not let this host in over ssh, or is not who it is known to be.
    case noSSH(HostName, reason: String)
    /// This host is not set up for the channel.
    case channelNotHere(Channel, reason: String)
    /// Something answers where the peer's gates should drop everything.
    case gateOpen(HostName, address: String, port: Int)
    /// Whether the peer's gates are closed cannot be seen from here.
    case gateUnproven(HostName, address: String, port: Int)
    /// Migrations are under way that could go on in the clear; the addresses and ports they go to.
    case streamsUnderWay(to: [String])
    /// A move to this peer is under way.
    case inUse(HostName)

    public var description: String {
        switch self {
        case .badInventory(let reason): "the inventory cannot be made into a mesh: \(reason)"
        case .badCredentials(let path, let reason): "the keys in '\(path)' are not used: \(reason)"
        case .charonNotRunning(let socket, let reason):
            "charon does not answer at \(socket) (\(reason)); start strongSwan on this host"
        case .foreignConnections(let names):
            "loading the mesh alone would unload the connections \(names.joined(separator: ", ")) of this charon;"
                + " place the mesh into strongSwan's conf.d instead"
        case .refused(let step, let reason): "\(step) failed: \(reason)"
        case .unknownPeer(let peer): "\(peer) is not a peer of this host's mesh; check the inventory"
        case .removedPeer(let peer, let at):
            "\(peer) was removed from the cluster on \(at.readable), so no tunnel or gate is opened for it;"
                + " \(peer.additionInWords)"
        case .notApplied: "the mesh is not applied on this host yet"
        case .peerDoesNotAnswer(let peer, let reason):
            "\(peer) does not answer over IKE (\(reason)); check that strongSwan runs there and UDP 500 and 4500 pass"
        case .authenticationFailed(let peer):
            "\(peer) and this host do not accept each other's credentials; check that both have certificates of this"
                + " cluster, neither expired nor revoked (or the same pre-shared key), and the names of the inventory"
        case .noProposalChosen(let peer):
            "\(peer) accepts neither AES-GCM-256 nor X25519; check its strongSwan plugins and its mesh"
        case .differentSelectors(let peer):
            "\(peer) and this host do not agree on the addresses of the tunnel; check that both have the same inventory"
        case .weakAssociation(let peer, let weakness): "the tunnel to \(peer) is refused: \(weakness)"
        case .wrongRoute(let peer, let reason): "what goes to \(peer) is not led into IPsec: \(reason)"
        case .noTrafficThroughTunnel(let peer, let reason):
            "the tunnel to \(peer) is up but nothing comes back through it (\(reason)); check the firewalls for ESP"
        case .noTLS(let peer, let reason):
            "\(peer) does not show a good certificate over TLS (\(reason)); check libvirtd's TLS there (port"
                + " \(TLSHandshake.port)) and both hosts' certificates ('evenkeel certificates')"
        case .noSSH(let peer, let reason):
            "\(peer) cannot be reached over ssh (\(reason)); check that root's key is accepted there and its host key known here"
        case .channelNotHere(let channel, let reason): "there is no channel '\(channel.rawValue)' here: \(reason)"
        case .gateOpen(let peer, let address, let port):
            "port \(port) of \(peer) answers at \(address) though no pinhole is open: its gates are not closed; check"
                + " 'nft list table inet evenkeel' there"
        case .gateUnproven(let peer, let address, let port):
            "whether port \(port) of \(peer) is shut at \(address) could not be seen: the network between refuses to say;"
                + " a firewall that answers in the place of \(peer)'s gates must let them be"
        case .streamsUnderWay(let ends):
            "migrations to \(ends.joined(separator: ", ")) are under way and could go on in the clear without the mesh;"
                + " wait for their end, or end them ('virsh domjobabort'), and try again"
        case .inUse(let peer):
            "a move to \(peer) is under way; wait for its end, as the evidence of each needs the tunnel for itself"
        }
    }
}
