// SPDX-License-Identifier: Apache-2.0
import HostOS
import Balancing
import Coordination
import EvenkeelCLI
import Fleet
import Foundation
import Lab
import Ledger
import Settings

extension Demo {
    /// Returns the report: what the demonstration observed, compared with what it has to show.
    func report(failure: (any Error)?) async -> DemoReport {
        let moves = FleetView(core, at: .now).moves.filter { $0.order.issuer == .controller }
        let rates = workRates
        return DemoReport(
            startedAt: startedAt,
            endedAt: .now,
            machine: Self.machine(lab),
            policy: Dictionary(
                settings.documentedPolicy.map { ($0.key, $0.value) },
                uniquingKeysWith: { first, _ in first }
            ),
            hosts: series,
            moves: moves,
            plainMove: plainMove,
            rates: rates,
            wires: wires,
            checks: await checks(moves: moves, rates: rates),
            failure: failure.map { $0 is CancellationError ? "interrupted" : "\($0)" }
        )
    }

    private static func machine(_ lab: HostLab) -> String {
        let emulation = lab.domainType == "kvm" ? "KVM" : "software emulation (TCG)"
        let esp = lab.kernelHasESP ? "kernel" : "user space"
        return "\(ProcessInfo.processInfo.activeProcessorCount) cores, guests by \(emulation), ESP in \(esp)"
    }

    private var series: [DemoReport.HostSeries] {
        lab.hosts.map { host in
            DemoReport.HostSeries(
                host: host.name,
                points: samples.filter { $0.host == host.name }.map {
                    .init(
                        at: $0.at,
                        cpu: $0.cpu?.share,
                        memory: $0.memory?.share,
                        vms: $0.vms?.count { $0.state.isActive }
                    )
                }
            )
        }
    }

    private var workRates: [DemoReport.WorkRate] {
        lab.guests.map { guest in
            let console = try? lab.console(of: guest)
            let end = autonomousEnd ?? .now
            return DemoReport.WorkRate(
                vm: guest.name,
                before: console?.rate(from: startedAt, to: controlledAt ?? end),
                after: balancedAt.flatMap { console?.rate(from: $0, to: end) },
                full: GuestPlan.fullRate,
                points: (console?.readings ?? []).filter { $0.at >= startedAt }.map { .init(at: $0.at, rate: $0.rate) }
            )
        }
    }

    private var wires: [DemoReport.Wire] {
        var wires: [DemoReport.Wire] = []
        if let (found, dropped) = plainWire {
            let shown = found.firstWithOccurrence.map { packet in
                let offset = packet.offsets(of: Array(Self.secret.utf8)).first ?? 0
                return DemoReport.ShownPacket(summary: packet.summary, dump: packet.dump(from: offset - 32, lines: 9))
            }
            wires.append(.init(title: "One unprotected move, ordered manually", found, dropped, shown))
        }
        if let (found, dropped) = escortedWire {
            let shown = (found.firstWithOccurrence ?? found.firstESP).map {
                DemoReport.ShownPacket(summary: $0.summary, dump: $0.dump(from: 32, lines: 9))
            }
            wires.append(.init(title: "All automatic moves, protected", found, dropped, shown))
        }
        return wires
    }

    private func checks(moves: [FleetView.Move], rates: [DemoReport.WorkRate]) async -> [DemoReport.Check] {
        var checks = [balance(moves), work(rates)]
        checks += await intact()
        checks += secrecy(moves)
        return checks
    }

    private func balance(_ moves: [FleetView.Move]) -> DemoReport.Check {
        let snapshot = core.snapshot(at: autonomousEnd ?? .now)
        // The last sample before the unprotected move, which is not part of the autonomous run.
        let loads = series.map { host in
            let last = host.points.last { $0.at <= snapshot.at }
            return "\(host.host) \(last?.cpu.map(percent) ?? "?") CPU with \(last?.vms ?? 0) VMs"
        }
        let done = moves.count { $0.stage == .done }
        let time = controlledAt.flatMap { start in
            balancedAt.map { " in \(Units.seconds(($0 - start).inSeconds))" }
        }
        return DemoReport.Check(
            claim: "the fleet reached balance without an operator",
            holds: balancedAt != nil && done > 0,
            seen: "\(loads.joined(separator: ", ")); \(done) moves\(time ?? ", no balance")"
        )
    }

    private func work(_ rates: [DemoReport.WorkRate]) -> DemoReport.Check {
        func mean(_ values: [Double?]) -> Double? {
            let known = values.compactMap(\.self)
            return known.count == values.count && !known.isEmpty ? known.reduce(0, +) / Double(known.count) : nil
        }
        let (before, after) = (mean(rates.map(\.before)), mean(rates.map(\.after)))
        func shown(_ rate: Double?) -> String { rate.map { Units.decimals($0, 1) } ?? "?" }
        return DemoReport.Check(
            claim: "the guests' work recovered",
            holds: before.flatMap { before in after.map { $0 > before * 1.2 } } ?? false,
            seen:
                "\(shown(before)) → \(shown(after)) of \(Units.decimals(GuestPlan.fullRate, 0)) units/s on average"
        )
    }

    private func intact() async -> [DemoReport.Check] {
        var elsewhere: [String] = []
        var broken: [String] = []
        let placement = (try? await lab.placement()) ?? [:]
        for guest in lab.guests {
            let hosts = placement[guest.name]
            if hosts?.running.count != 1 || hosts?.active.count != 1 {
                elsewhere.append("\(guest.name) on \(hosts?.active.map(\.rawValue) ?? [])")
            }
            guard let console = try? lab.console(of: guest), let last = console.readings.last else {
                broken.append("\(guest.name) printed nothing")
                continue
            }
            if console.starts != 1 { elsewhere.append("\(guest.name) booted \(console.starts) times") }
            let problems = console.readings.compactMap { $0.memoryProblem ?? $0.diskProblem } + console.errors
            if let problem = problems.first { broken.append("\(guest.name): \(problem)") }
            do {
                let disk = try await lab.disk(of: guest)
                broken += disk.problems.map { "disk of \(guest.name): \($0)" }
                // The image is read after the console, so it must contain at least what the console reports.
                if let said = last.diskSequence, disk.highest < said {
                    broken.append("disk of \(guest.name): last record is \(disk.highest), the guest wrote \(said)")
                }
            } catch {
                broken.append("disk of \(guest.name): \(error)")
            }
        }
        return [
            DemoReport.Check(
                claim: "every VM runs exactly once",
                holds: elsewhere.isEmpty && !placement.isEmpty,
                seen: elsewhere.isEmpty
                    ? "\(lab.guests.count) VMs, each on one host, booted once" : elsewhere.joined(separator: "; ")
            ),
            DemoReport.Check(
                claim: "memory and disks are intact",
                holds: broken.isEmpty,
                seen: broken.isEmpty
                    ? "every checksum is correct, every disk sequence is complete" : broken.joined(separator: "; ")
            ),
        ]
    }

    private func secrecy(_ moves: [FleetView.Move]) -> [DemoReport.Check] {
        let escorted = escortedWire
        let plain = plainWire
        let done = moves.filter { $0.stage == .done }
        let covered = done.count { $0.evidence?.verdict == .covered }
        return [
            DemoReport.Check(
                claim: "every automatic move is covered by its evidence",
                holds: covered == done.count && covered > 0,
                seen: "\(covered) of \(done.count)"
            ),
            DemoReport.Check(
                claim: "no secret is visible outside the tunnels",
                holds: escorted.map { $0.found.occurrences == 0 && $0.found.espPackets > 0 && $0.dropped == 0 }
                    ?? false,
                seen: escorted.map {
                    "found \($0.found.occurrences) times in \($0.found.packets) packets, \($0.found.espPackets) of them ESP, "
                        + "\($0.dropped) missed by the capture"
                } ?? "not captured"
            ),
            DemoReport.Check(
                claim: "the same search finds the secret in an unprotected move",
                holds: (plain?.found.occurrences ?? 0) > 0,
                seen: plain.map { "found \($0.found.occurrences) times in \($0.found.packets) packets" }
                    ?? "not captured"
            ),
        ]
    }
}

extension DemoReport.Wire {
    fileprivate init(title: String, _ found: CaptureFindings, _ dropped: Int, _ packet: DemoReport.ShownPacket?) {
        self.init(
            title: title,
            packets: found.packets,
            bytes: found.bytes,
            espPackets: found.espPackets,
            markers: found.occurrences,
            packetsWithMarker: found.packetsWithOccurrence,
            dropped: dropped,
            packet: packet
        )
    }
}
