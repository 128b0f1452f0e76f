// SPDX-License-Identifier: Apache-2.0
public import Fleet
internal import Glibc

extension Instant {
    /// The current time by this machine's clock.
    ///
    /// Only for code with I/O: the pure core receives the time as input.
    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
