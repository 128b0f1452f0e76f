// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Times of this host.
enum HostClock {
    /// Returns when this host was started; `nil` if the kernel does not say.
    static func bootTime() -> Instant? {
        let seconds = (try? readTable("/proc/stat"))?["btime"]
        return seconds.map { Instant(milliseconds: Int64(min($0, 1 << 40)) * 1000) }
    }
}
