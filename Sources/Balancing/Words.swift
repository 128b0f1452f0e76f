// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A share as a whole percentage: `87 %`.
func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

/// Bytes in MiB: `128 MiB`.
func mebibytes(_ bytes: UInt64) -> String { "\(bytes >> 20) MiB" }

/// Cores with two decimals: `0.15 cores`.
func cores(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) cores"
}

/// A duration in whole seconds: `12 s`.
func seconds(_ duration: Duration) -> String { "\(duration.wholeMilliseconds / 1000) s" }
