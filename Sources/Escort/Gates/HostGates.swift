// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// Applies the gates and the inner address to this host, and removes them.
struct HostGates: Sendable {
    let runner: CommandRunner
    /// The interface that holds the inner address.
    let interface: String

    /// Applies the rules, then the dead ends, then the address: in this order the address is never reachable
    /// unprotected.
    ///
    /// Returns whether the address may later be removed: it was not there before, or it carries our mark.
    func close(_ gates: Gates) async throws -> Bool {
        try await runner.require("closing the gates", Gates.loadRuleset, input: gates.ruleset)
        try await setRoutes(to: gates.plan.peers.map(\.inner), family: gates.plan.local.inner.family)
        return try await addAddress(gates.plan.local.inner)
    }

    /// Whether the rules are gone, for instance because the machine's own rules were loaded again.
    ///
    /// `false` if nft gives no clear answer.
    func areMissing() async -> Bool {
        guard let listing = try? await runner(Gates.listTable) else { return false }
        return !listing.succeeded && listing.standardError.contains("No such file")
    }

    func open(removing address: IPAddress?, family: IPAddress.Family) async throws {
        if let address { try await removeAddress(address) }
        try await setRoutes(to: [], family: family)
        let result = try await runner(Gates.deleteTable)
        guard result.succeeded || result.standardError.contains("No such file") else {
            throw EscortError.refused(step: "removing the gates", reason: result.errorMessage)
        }
    }

    func removeAddress(_ address: IPAddress) async throws {
        try await ip("removing the inner address", ["addr", "del", address.hostPrefix, "dev", interface], address)
    }

    func counters() async throws -> [String: GateCounters.Count] {
        try GateCounters.all(json: try await runner.require("reading the gates' counters", GateCounters.list))
    }

    private func setRoutes(to inner: [IPAddress], family: IPAddress.Family) async throws {
        let option = family == .v4 ? "-4" : "-6"
        let listing = try await runner.require(
            "listing our routes",
            Self.ip([option, "route", "show", "type", "unreachable", "proto", Gates.routeProtocol])
        )
        let present = Self.destinations(listing)
        for old in present.subtracting(inner) { try await ip("removing a route", Self.route("del", old), old) }
        for new in inner where !present.contains(new) {
            try await ip("adding a dead end", Self.route("replace", new), new)
        }
    }

    private func addAddress(_ address: IPAddress) async throws -> Bool {
        let listing = try await runner.require(
            "listing the addresses of \(interface)",
            Self.ip([address.ipOption, "-o", "addr", "show", "dev", interface])
        )
        if let line = Self.line(of: address, in: listing) {
            return line.hasSuffix(label) || line.contains(" metric \(Gates.routeMetric)")
        }
        // IPv6 addresses have no labels.
        let mark = address.family == .v4 && label.utf8.count <= 15 ? ["label", label] : ["metric", Gates.routeMetric]
        try await ip(
            "adding the inner address",
            ["addr", "add", address.hostPrefix, "dev", interface] + mark,
            address
        )
        return true
    }

    private var label: String { interface + ":evenkeel" }

    private func ip(_ step: String, _ arguments: [String], _ address: IPAddress) async throws {
        try await runner.require("\(step) (\(address))", Self.ip([address.ipOption] + arguments))
    }

    static func ip(_ arguments: [String]) -> Command { Command("ip", arguments) }

    static func route(_ verb: String, _ address: IPAddress) -> [String] {
        [
            "route", verb, "unreachable", address.hostPrefix, "metric", Gates.routeMetric,
            "proto", Gates.routeProtocol,
        ]
    }

    /// Returns the destinations in a listing of unreachable routes.
    static func destinations(_ listing: String) -> Set<IPAddress> {
        Set(
            listing.split(whereSeparator: \.isNewline).compactMap { line in
                let words = line.split(separator: " ")
                guard words.count > 1, words[0] == "unreachable" else { return nil }
                return IPAddress(String(words[1].prefix { $0 != "/" }))
            }
        )
    }

    /// Returns the part of the listing that describes the address, up to its label.
    static func line(of address: IPAddress, in listing: String) -> String? {
        for line in listing.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\\" })
            guard let at = words.firstIndex(where: { $0 == "inet" || $0 == "inet6" }), at + 1 < words.count,
                IPAddress(String(words[at + 1].prefix { $0 != "/" })) == address
            else { continue }
            return words.prefix { $0 != "valid_lft" }.joined(separator: " ")
        }
        return nil
    }
}
