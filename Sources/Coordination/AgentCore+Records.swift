// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Handles the ledger's records, the start of an agent, and time.
extension AgentCore {
    mutating func take(_ record: OrderRecord, at instant: Instant, effects: inout [Effect]) {
        switch record {
        case .migrate(let order):
            noteTime(order.issuedAt)
            if order.issuer == .controller { epoch = max(epoch, order.epoch ?? 0) }
            for id in work.keys { work[id]?.noteElsewhere(order) }
            if let known = work[order.id] {
                guard mutations.contains(.forgetsOrders), known.state.stage.isFinal else { return }
            }
            var reports: [OrderReport] = []
            if case .unseen(let early)? = others.removeValue(forKey: order.id) { reports = early }
            guard order.source == host || order.target == host else {
                if reports.contains(where: { $0.host == order.source && $0.step.isProgress }) {
                    noteForeignMove(order, orderedAfter: nextPlace)
                }
                if !reports.contains(where: { $0.step.isFinal }) {
                    others[order.id] = .foreign(order, place: nextPlace)
                }
                return
            }
            var state = OrderState(order)
            state.isDecidedByHandover = order.channel == .sealed && order.source == host
            for report in reports { state.apply(report) }
            // The source of a sealed move reads the journal later (`SealedMove`).
            if order.source == host, order.channel != .sealed, begunBefore.contains(order.id) { state.noteBeginning() }
            var item = OrderWork(state, place: nextPlace, readAt: instant)
            item.supersededBy = supersession(of: order)
            // The mutation `forgetsOrders` carries out an order again: its gate may still be open.
            item.mayHaveGateOpen = work[order.id]?.mayHaveGateOpen ?? false
            work[order.id] = item
            closed.take(state)
            nextPlace += 1
            if isCaughtUp { advance(order.id, at: instant, effects: &effects) }
        case .cancel(let id, _, let reason):
            work[id]?.state.cancel(reason: reason)
            if isCaughtUp { advance(id, at: instant, effects: &effects) }
        case .end(let id, let host, let at, let reason):
            take(StatedEnd(host: host, at: at, reason: reason), of: id, at: instant)
        case .clear(let path, let channel, let orders, _, _): closed.clear(path, channel, orders: orders)
        case .takeOver(let epoch, _, _): self.epoch = max(self.epoch, epoch)
        }
    }

    mutating func take(_ report: OrderReport, at instant: Instant, effects: inout [Effect]) {
        let id = report.order
        if report.host != host { noteTime(report.at) }
        switch report.step {
        case .asked(let question): return take(question, in: report)
        case .answered(let presence, let askedAt, let isPersistent):
            let answer = Inquiry.Question.Answer(presence: presence, isPersistent: isPersistent, at: instant)
            return takeAnswer(answer, to: askedAt, in: report, at: instant, effects: &effects)
        default: break
        }
        guard work[id] != nil else {
            takeEarly(report, at: instant)
            return
        }
        guard work[id]?.state.apply(report) == true, let state = work[id]?.state else { return }
        closed.take(state)
        noteEnd(of: id, by: report.host, at: instant)
        if report.step.isOfHandover, case .sealed(var move)? = work[id]?.activity {
            move.turn(at: instant)
            work[id]?.activity = .sealed(move)
        }
        if isCaughtUp { advance(id, at: instant, effects: &effects) }
    }

    private mutating func takeEarly(_ report: OrderReport, at instant: Instant) {
        var report = report
        // Otherwise a report dated in the future would be kept for as long as its writer chooses.
        report.at = min(report.at, instant)
        switch others[report.order] {
        case nil: others[report.order] = .unseen([report])
        case .unseen(var reports):
            others[report.order] = nil
            reports.append(report)
            others[report.order] = .unseen(reports)
        case .foreign(let order, let place):
            if report.host == order.source, report.step.isProgress { noteForeignMove(order, orderedAfter: place) }
            if report.host == order.source, case .failed(let failure) = report.step,
                failure.whereabouts == .at(order.source)
            {
                noteFailedForeignMove(order, orderedAfter: place)
            }
            if report.step.isFinal { others[report.order] = nil }
        }
    }

    mutating func tick(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        for id in pending { advance(id, at: instant, effects: &effects) }
        for id in work.filter({ $0.value.state.stage.isFinal && $0.value.isInquiring }).keys.sorted() {
            inquire(id, at: instant, effects: &effects)
        }
        for id in work.filter({ $0.value.isCheckingCopy }).keys.sorted() {
            advanceCheck(id, at: instant, effects: &effects)
        }
        let newest = newestOrders()
        work = work.filter { id, item in
            // However long ago it moved: its source may come back at any time, and with a clock that is ahead.
            let isWatched = item.hasLeft(host) && newest[item.order.vm] == id
            return isWatched || awaitsAutostart(item, at: instant) || awaitsWithdrawal(item, at: instant)
                || !item.isOver(at: instant, remembered: Self.remembered)
        }
        others = others.filter { !$0.value.isOver(at: instant, remembered: Self.remembered) }
    }

    /// Orders whose next steps time can bring, in the ledger's order.
    var pending: [OrderID] {
        work.values.filter(\.isPending).sorted { $0.place < $1.place }.map(\.order.id)
    }

    /// How long an order that has ended is kept after its expiry.
    static let remembered: Duration = .seconds(3600)
}
