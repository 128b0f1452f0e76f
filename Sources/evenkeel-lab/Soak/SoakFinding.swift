// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI

/// Why a subject of a soak failed; sizes are in bytes.
enum SoakFinding: Codable, Sendable, Equatable {
    /// The program ended during the phase, in seconds since its beginning.
    case ended(at: Double)
    /// There were too few readings after the warm-up for a verdict.
    case tooFewReadings(Int)
    case memoryGrew(from: Int64, to: Int64, limit: Int64)
    case memoryAboveLimit(bytes: Int64, limit: Int64)
    case cpuAboveLimit(share: Double, limit: Double)
    case descriptorsGrew(from: Int, to: Int)
    case threadsGrew(from: Int, to: Int)
    case filesGrew(from: Int, to: Int)
    case fileBytesGrew(from: Int64, to: Int64, limit: Int64)
    case filesAboveLimit(bytes: Int64, limit: Int64)

    var text: String {
        switch self {
        case .ended(let at): "the program ended after \(Units.seconds(at))"
        case .tooFewReadings(let count):
            "only \(count) readings after the warm-up, \(SoakVerdict.fewestReadings) are needed"
        case .memoryGrew(let from, let to, let limit):
            "private memory grew from \(mebibytes(from)) to \(mebibytes(to)), limit \(mebibytes(limit)) of growth"
        case .memoryAboveLimit(let bytes, let limit):
            "resident memory reached \(mebibytes(bytes)), limit \(mebibytes(limit))"
        case .cpuAboveLimit(let share, let limit):
            "used \(corePercent(share)) of a core, limit \(corePercent(limit))"
        case .descriptorsGrew(let from, let to): "descriptors grew from \(from) to \(to)"
        case .threadsGrew(let from, let to): "threads grew from \(from) to \(to)"
        case .filesGrew(let from, let to): "the number of files grew from \(from) to \(to)"
        case .fileBytesGrew(let from, let to, let limit):
            "files grew from \(mebibytes(from)) to \(mebibytes(to)), limit \(mebibytes(limit)) of growth"
        case .filesAboveLimit(let bytes, let limit):
            "files reached \(mebibytes(bytes)), limit \(mebibytes(limit))"
        }
    }
}

func mebibytes(_ bytes: Int64) -> String { "\(Units.decimals(Double(bytes) / 0x1p20)) MiB" }

func corePercent(_ share: Double) -> String { "\(Units.decimals(share * 100)) %" }
