// SPDX-License-Identifier: Apache-2.0
import Fleet

extension SimulationOutcome {
    var text: String {
        var parts = [scene.text, table.text]
        if let comparison { parts.append(comparison) }
        parts.append("Peak memory: \(peakMiB) MiB.")
        return parts.joined(separator: "\n\n")
    }

    /// The columns of the table, on the screen and in the report.
    static let columns = [
        "POLICY", "UNSERVED", "CORE HOURS", "OVERLOADED", "SPREAD", "MOVES", "FAILED", "GIB MOVED", "PING-PONG",
        "LONGEST", "RUN TIME",
    ]

    static let legend = """
        UNSERVED: share of the requested CPU that VMs did not get, including downtime. OVERLOADED: host-minutes short of \
        CPU. SPREAD: standard deviation of CPU load across the hosts, averaged over time. PING-PONG: moves back to a host \
        within an hour. LONGEST: longest time that a host was short of CPU.
        """

    static func cells(_ row: Row) -> [String] {
        [
            row.policy, share(row.unservedShare), Units.decimals(row.unservedCoreHours, 1),
            "\(Int(row.overloadedHostMinutes.rounded())) min", share(row.meanSpread), "\(row.migrations)",
            "\(row.failedMigrations)", Units.decimals(row.migratedGiB, 0), "\(row.pingPong)",
            "\(Int(row.longestOverloadMinutes.rounded())) min", "\(Units.decimals(row.seconds, 1)) s",
        ]
    }

    static func share(_ share: Double) -> String { "\(Units.decimals(share * 100, 3)) %" }

    private var table: TextTable { TextTable(Self.columns, rows.map(Self.cells), empty: "") }

    /// Compares Evenkeel with the baseline that left the least CPU unserved.
    var comparison: String? {
        guard let own = rows.first, let best, best.unservedCoreHours > 0 else { return nil }
        let ratio = own.unservedCoreHours / best.unservedCoreHours
        return """
            Best baseline: \(best.policy). Evenkeel left \(Units.decimals(ratio, 2)) times as much CPU unserved, with \
            \(own.migrations) moves instead of \(best.migrations).
            """
    }
}

extension SimulationOutcome.Scene {
    var text: String {
        var text =
            "\(load): \(vms) VMs on \(hosts) hosts of \(Units.decimals(coresPerHost, 1)) cores and "
            + "\(Units.decimals(memoryPerHostGiB, 0)) GiB, \(percent(meanCPU)) CPU on average, "
            + "\(Units.decimals(hours, hours == hours.rounded() ? 0 : 1)) h, samples every "
            + "\(Units.decimals(sampleIntervalSeconds, 0)) s, decisions every "
            + "\(Units.decimals(decisionIntervalSeconds, 0)) s, seed \(seed)"
        if faults > 0 { text += ", \(faults) faults (\(faultLevel))" }
        return text
    }
}
