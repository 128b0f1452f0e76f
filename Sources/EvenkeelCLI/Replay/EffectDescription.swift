// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet

/// An effect of a core, as text.
protocol EffectDescription {
    var role: EffectRole { get }
    var text: String { get }
}

/// The role of an effect in a recording.
enum EffectRole {
    /// A decision: an order given by the controller, or a move begun by an agent.
    case order(MigrationOrder)
    case announcement
    case report
    /// An intermediate step.
    case step
}

extension ControllerCore.Effect: EffectDescription {
    var role: EffectRole {
        switch self {
        case .submit(let order): .order(order)
        case .end, .takeOver: .step
        case .announce: .announcement
        }
    }

    var text: String {
        switch self {
        case .submit(let order): "order \(order.id): move \(order.route): \(order.reason)"
        case .end(let order, let host, let reason): "order \(order): end it on \(host): \(reason)"
        case .takeOver(let record): "take over\(record.epoch.map { " with epoch \($0)" } ?? "")"
        case .announce(let news): "log (\(news.kind.rawValue)): \(news)"
        }
    }
}

extension AgentCore.Effect: EffectDescription {
    var role: EffectRole {
        switch self {
        case .migrate(let order, _), .seal(let order, _): .order(order)
        case .announce: .announcement
        case .append: .report
        case .readRequirements, .checkTarget, .shut, .cancelMigration, .look, .locate, .confirm, .apply, .startWithHost:
            .step
        case .unseal, .release, .recall, .restore, .takeBack, .forget: .step
        }
    }

    var text: String {
        switch self {
        case .append(let report): "report \(report.order): \(report.step.text)"
        case .readRequirements(let order): "order \(order.id): read the requirements of \(order.vmName)"
        case .checkTarget(let order, _, _): "order \(order.id): check whether this host can take \(order.vmName)"
        case .shut(let order): "order \(order.id): close the gate for \(order.source)"
        case .migrate(let order, _): "order \(order.id): move \(order.route): \(order.reason)"
        case .cancelMigration(let order): "order \(order.id): cancel the migration of \(order.vmName)"
        case .look(let order): "order \(order.id): look at the copy of \(order.vmName) here"
        case .startWithHost(let order): "order \(order.id): set \(order.vmName) to start with this host"
        case .locate(let id, let vm): "order \(id): look for VM \(vm) here, to answer a question"
        case .confirm(let id, let vm): "order \(id): make the definition of VM \(vm) durable, to confirm it"
        case .apply(let action, let order): "order \(order.id): \(action.rawValue) the copy of \(order.vmName) here"
        case .seal(let order, _): "order \(order.id): save and encrypt \(order.route): \(order.reason)"
        case .unseal(let order, _): "order \(order.id): decrypt the image of \(order.vmName)"
        case .release(let order): "order \(order.id): release the image of \(order.vmName)"
        case .recall(let order): "order \(order.id): look up what this host did for it"
        case .restore(let order): "order \(order.id): start \(order.vmName) here"
        case .takeBack(let order, _): "order \(order.id): take back \(order.vmName)"
        case .forget(let order, _): "order \(order.id): delete the image of \(order.vmName)"
        case .announce(let announcement): "log: \(announcement.text)"
        }
    }
}

extension MigrationOrder {
    fileprivate var route: String { "\(vmName) from \(source) to \(target)" }
}
