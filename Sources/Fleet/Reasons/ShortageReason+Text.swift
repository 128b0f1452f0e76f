// SPDX-License-Identifier: Apache-2.0

extension ShortageReason: CustomStringConvertible {
    public var description: String {
        let lacking = [
            cores.map { "\(Fleet.cores($0)) of CPU" }, memoryBytes.map { "\(byteText($0)) of memory" },
        ].compactMap(\.self).joined(separator: " and ")
        let kept = reserveHosts > 0 ? ", with \(reserveHosts) hosts kept in reserve" : ""
        return "the fleet is full: \(lacking) are missing under the thresholds\(kept)"
    }
}
