// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

extension SplitMix64 {
    /// A generator whose seed is printed; `EVENKEEL_SEED` sets it.
    static func announced(_ test: String) -> SplitMix64 {
        let given = ProcessInfo.processInfo.environment["EVENKEEL_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("\(test): EVENKEEL_SEED=\(seed)")
        return SplitMix64(seed: seed)
    }
}
