// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

extension SplitMix64 {
    /// A generator with the seed 1; `EVENKEEL_SEED` sets another.
    static func announced(_ test: String) -> SplitMix64 {
        let seed = ProcessInfo.processInfo.environment["EVENKEEL_SEED"].flatMap { UInt64($0) } ?? 1
        print("\(test): EVENKEEL_SEED=\(seed)")
        return SplitMix64(seed: seed)
    }
}
