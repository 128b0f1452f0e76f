// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Glibc
import Ledger

@testable import Identity

/// A cluster in a temporary folder, with real keys and certificates.
struct Cluster: Sendable {
    let folder: String
    let authority: ClusterAuthority

    static func with(
        now: @escaping @Sendable () -> Instant = { .now },
        _ body: (Cluster) async throws -> Void
    ) async throws {
        let folder = "/tmp/evenkeel-identity-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let authority = try await ClusterAuthority.create(folder: "\(folder)/cluster", now: now)
        let result: Result<Void, any Error>
        do { result = .success(try await body(Cluster(folder: folder, authority: authority))) } catch {
            result = .failure(error)
        }
        _ = try await Command("rm", ["-rf", folder]).result()
        try result.get()
    }

    func memberFolder(_ name: String) -> String { "\(folder)/members/\(name)" }
    func member(_ name: String) -> IdentityFolder { IdentityFolder(memberFolder(name)) }

    /// Returns host number `n`: `hN`, 10.0.0.N, 10.1.0.N.
    @discardableResult
    func add(
        _ number: Int,
        replacing: Bool = false,
        lifetime: Duration = ClusterAuthority.memberLifetime,
        into name: String? = nil
    ) async throws -> IdentityFolder {
        let host = HostName("h\(number)")
        let enrollment = try Enrollment.host(host, address: "10.0.0.\(number)", inner: "10.1.0.\(number)")
        let name = name ?? host.rawValue
        try await authority.add(enrollment, replacing: replacing, lifetime: lifetime, folder: memberFolder(name))
        return member(name)
    }

    func shell(_ script: String) async throws -> String { try await Command("bash", ["-ec", script]).run() }
}
