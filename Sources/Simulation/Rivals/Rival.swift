// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A balancing policy to compare with, written from what its authors published; nobody's program is run here.
///
/// A rival sees what its original would see (load and memory of hosts and VMs), decides by the original's rule with the
/// original's constants, and is taken in the setting that suits it best where the original offers several. Rules on
/// affinity, pools and disks, switching hosts on or off, and limits on migrations at once are left out for all.
///
/// In one decision each VM moves at most once, and statistics are taken over the usable hosts.
public protocol Rival: Sendable {
    /// Its name on the command line, for example "watcher".
    var name: String { get }
    /// One line: what it is, and which published description it is written from.
    var summary: String { get }
    /// How often its project runs it by default, where that is published; nil: as often as asked.
    var usualInterval: Duration? { get }
    /// The moves it asks for now, in the order in which it would make them.
    func moves(in fleet: RivalFleet, random: inout SplitMix64) -> [RivalMove]
}

/// One VM to one host, as indices into the ``RivalFleet`` asked about.
public struct RivalMove: Sendable, Equatable {
    public var vm: Int
    public var target: Int

    public init(vm: Int, target: Int) {
        self.vm = vm
        self.target = target
    }
}

/// The policies there are to compare with.
public enum Rivals {
    public static let all: [any Rival] = [
        NothingRival(), ThresholdRival(), PullRival(), ProxLBRival(), WatcherRival(), CloudStackRival(),
        XenOrchestraRival(), HbalRival(), CostBenefitRival(), LocalRegressionRival(),
    ]

    public static func named(_ name: String) -> (any Rival)? { all.first { $0.name == name } }
}

/// Leaves every VM where it is: what no balancing costs.
public struct NothingRival: Rival {
    public let name = "nothing"
    public let summary = "no moves"
    public let usualInterval: Duration? = nil
    public init() {}
    public func moves(in fleet: RivalFleet, random: inout SplitMix64) -> [RivalMove] { [] }
}
