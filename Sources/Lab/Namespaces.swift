// SPDX-License-Identifier: Apache-2.0
internal import Glibc

enum Namespaces {
    private static let networkNamespace: Int32 = 0x4000_0000

    /// setns(2), which glibc's headers declare only for programs that request GNU extensions.
    private static func setNamespace(_ file: Int32) -> Bool {
        typealias Function = @convention(c) (Int32, Int32) -> Int32
        guard let symbol = dlsym(nil, "setns") else { return false }
        return unsafeBitCast(symbol, to: Function.self)(file, networkNamespace) == 0
    }

    /// Runs non-blocking work in another network namespace; sockets opened there stay there.
    ///
    /// The calling thread enters that namespace and then returns to its own.
    static func inNamespace<Value>(_ file: String, _ body: () -> Value) throws -> Value {
        let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        let there = open(file, O_RDONLY | O_CLOEXEC)
        defer {
            if home >= 0 { close(home) }
            if there >= 0 { close(there) }
        }
        guard home >= 0, there >= 0, setNamespace(there) else {
            throw LabError.file(path: file, reason: "cannot enter the network namespace (\(Files.reason()))")
        }
        defer { _ = setNamespace(home) }
        return body()
    }
}
