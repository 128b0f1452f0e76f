// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A balancing policy to compare with, written from its authors' publications, without their code.
///
/// A baseline has the same input as its original (load and memory of hosts and VMs), and the original's rule and
/// constants. Of several settings, the one that suits it best is used. Left out for all baselines: rules on affinity,
/// pools and disks, power management, and limits on concurrent migrations.
///
/// In one decision each VM moves at most once, and statistics cover the usable hosts.
public protocol Baseline: Sendable {
    /// The name on the command line, for example "watcher".
    var name: String { get }
    /// The policy and its publication, in one line.
    var summary: String { get }
    /// The default interval of the project, if published; `nil`: after each sample.
    var usualInterval: Duration? { get }
    /// Returns the moves that the baseline orders now, in the order of their execution.
    func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove]
}

/// A move of one VM to one host, as indices into the ``BaselineFleet``.
public struct BaselineMove: Sendable, Equatable {
    public var vm: Int
    public var target: Int

    public init(vm: Int, target: Int) {
        self.vm = vm
        self.target = target
    }
}

/// The available baselines.
public enum Baselines {
    public static let all: [any Baseline] = [
        NothingBaseline(), ThresholdBaseline(), PullBaseline(), ProxLBBaseline(), WatcherBaseline(),
        CloudStackBaseline(),
        XenOrchestraBaseline(), HbalBaseline(), CostBenefitBaseline(), LocalRegressionBaseline(),
    ]

    public static func named(_ name: String) -> (any Baseline)? { all.first { $0.name == name } }
}

/// Makes no moves; shows the cost of an unbalanced fleet.
public struct NothingBaseline: Baseline {
    public let name = "nothing"
    public let summary = "no moves"
    public let usualInterval: Duration? = nil
    public init() {}
    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] { [] }
}
