// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// One IKE SA with its children, as charon lists it.
struct IKEAssociation: Sendable, Equatable {
    var name: String
    var state: String
    var localIdentity: String
    var peerIdentity: String
    /// SPIs of initiator and responder; rekeying the IKE SA changes them.
    var spis: String
    var version: String
    var suite: Suite
    var children: [Child]
    /// Seconds since its keys were first agreed on; `nil` until then.
    var age: Int?

    /// One pair of ESP SAs.
    struct Child: Sendable, Equatable {
        var name: String
        var state: String
        var mode: SecurityAssociation.Mode
        var securityProtocol: String
        var encapsulated: Bool
        var inboundSPI: String
        var outboundSPI: String
        var suite: Suite
        /// `nil` if charon reported no figure.
        var inbound: TrafficCounters?
        var outbound: TrafficCounters?
        /// Seconds since the last inbound packet; `nil` before the first.
        var secondsSinceInbound: Int?
        /// Seconds since it was installed.
        var age: Int?
        /// Seconds until charon replaces it.
        var secondsToRekey: Int?
    }

    /// Negotiated algorithms; an empty string stands for none.
    struct Suite: Sendable, Equatable {
        var encryption: String
        var keySize: String
        var integrity: String
        var pseudoRandom: String
        var keyExchange: String

        init(_ reply: ViciReply) {
            encryption = reply.values["encr-alg"] ?? ""
            keySize = reply.values["encr-keysize"] ?? ""
            integrity = reply.values["integ-alg"] ?? ""
            pseudoRandom = reply.values["prf-alg"] ?? ""
            keyExchange = reply.values["dh-group"] ?? ""
        }

        /// For instance `AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519`.
        var description: String {
            let cipher = keySize.isEmpty ? encryption : "\(encryption)-\(keySize)"
            return [cipher, integrity, pseudoRandom, keyExchange].filter { !$0.isEmpty }.joined(separator: "/")
        }
    }

    var isEstablished: Bool { state == "ESTABLISHED" }
    /// The child that carries traffic; one in state `REKEYING` does so until its successor is installed.
    var liveChild: Child? {
        isEstablished
            ? children.last { $0.state == "INSTALLED" } ?? children.last { $0.state == "REKEYING" }
            : nil
    }

    /// Seconds since the last inbound packet of any child; `nil` before the first.
    var secondsSinceInbound: Int? { children.compactMap(\.secondsSinceInbound).min() }

    /// Whether the SA is established without a child.
    ///
    /// In its first 10 s the child may still be missing.
    var hasLostItsChild: Bool { isEstablished && children.isEmpty && (age ?? 0) >= 10 }

    /// Returns all IKE SAs in the output of `swanctl --list-sas --pretty`.
    static func all(in text: String) -> [Self] {
        ViciReply(pretty: text).sections
            .filter { $0.name == "list-sa event" }
            .flatMap { $0.content.sections }
            .map { Self(name: $0.name, reply: $0.content) }
    }

    private init(name: String, reply: ViciReply) {
        self.name = name
        state = reply.values["state"] ?? ""
        localIdentity = reply.values["local-id"] ?? ""
        peerIdentity = reply.values["remote-id"] ?? ""
        spis = (reply.values["initiator-spi"] ?? "") + "-" + (reply.values["responder-spi"] ?? "")
        version = reply.values["version"] ?? ""
        suite = Suite(reply)
        age = reply.number("established")
        children = (reply[section: "child-sas"]?.sections ?? []).map { Child($0.content) }
    }
}

extension IKEAssociation.Child {
    init(_ reply: ViciReply) {
        name = reply.values["name"] ?? ""
        state = reply.values["state"] ?? ""
        mode = SecurityAssociation.Mode(rawValue: reply.values["mode"] ?? "")
        securityProtocol = reply.values["protocol"] ?? ""
        encapsulated = reply.values["encap"] == "yes"
        inboundSPI = reply.values["spi-in"] ?? ""
        outboundSPI = reply.values["spi-out"] ?? ""
        suite = IKEAssociation.Suite(reply)
        inbound = Self.counters(reply, "in")
        outbound = Self.counters(reply, "out")
        secondsSinceInbound = reply.number("use-in")
        age = reply.number("install-time")
        secondsToRekey = reply.number("rekey-time")
    }

    private static func counters(_ reply: ViciReply, _ direction: String) -> TrafficCounters? {
        guard let bytes: UInt64 = reply.number("bytes-\(direction)"),
            let packets: UInt64 = reply.number("packets-\(direction)")
        else { return nil }
        return TrafficCounters(bytes: bytes, packets: packets)
    }
}

extension SecurityAssociation {
    init(_ association: IKEAssociation, _ child: IKEAssociation.Child, _ implementation: ESPImplementation) {
        self.init(
            localIdentity: association.localIdentity,
            peerIdentity: association.peerIdentity,
            inboundSPI: child.inboundSPI,
            outboundSPI: child.outboundSPI,
            suite: child.suite.description,
            ikeSuite: "IKEv\(association.version) \(association.suite.description)",
            mode: child.mode,
            implementation: implementation,
            encapsulated: child.encapsulated
        )
    }
}
