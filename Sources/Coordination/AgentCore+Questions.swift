// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Answers other agents' questions about VMs on this host, and takes the answers to its own.
extension AgentCore {
    mutating func take(_ question: PresenceQuestion, in report: OrderReport) {
        guard report.host != host, work[report.order].map({ $0.order.source == report.host }) ?? true else { return }
        let wantsDurable = question.wantsDurable == true
        // Only for a move to this host, which has consented: each costs a sync of the file system.
        let isConsented = question.target == host && work[report.order]?.state.isPrepared == true
        guard !wantsDurable || isConsented else { return }
        // Who asks after a move asks again, and waits a limited time.
        let mustAnswer = question.target == host && !wantsDurable
        // After a restart the question may be old, and its asker asks again.
        guard mustAnswer || isCaughtUp else { return }
        questions.put(question, in: report, mustAnswer: mustAnswer)
    }

    mutating func takeAnswer(
        _ answer: Inquiry.Question.Answer,
        to askedAt: Instant,
        in report: OrderReport,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let (id, presence) = (report.order, answer.presence)
        // This host's own answer, perhaps of an earlier incarnation.
        if report.host == host {
            if let vm = work[id]?.order.vm { noteAnswer(presence, about: vm) }
            return questions.close(id, askedAt: askedAt)
        }
        guard let order = work[id]?.order, order.source == host else { return }
        if report.host == order.target {
            work[id]?.answer = (askedAt, presence)
            confirmed(id, by: answer, to: askedAt, at: instant)
        }
        work[id]?.noteElsewhere(presence, on: report.host)
        guard isCaughtUp else { return }
        sealed(id, at: instant, &effects) { $0.answered(by: report.host, answer, to: askedAt, $2) }
        inquiry(id, at: instant, &effects) { inquiry, _ in inquiry.answered(by: report.host, answer, to: askedAt) }
    }

    mutating func lookForAnswers(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp, !mutations.contains(.keepsQuiet) else { return }
        for (id, vm, wantsDurable) in questions.due(at: instant) {
            effects.append(wantsDurable ? .confirm(id, vm) : .locate(id, vm))
        }
    }

    /// Number of unwritten reports from which no more answers are added.
    private static let waitingAnswers = 32

    mutating func located(
        _ id: OrderID,
        _ observation: CopyObservation,
        isPersistent: Bool?,
        at instant: Instant
    ) {
        let vm = questions.vm(of: id)
        let change = OpenQuestions.Change(
            isPausing: vm.map { isPausingCopy(of: $0) } ?? false,
            isWithdrawing: vm.map { isWithdrawing($0) } ?? false
        )
        guard let (askedAt, presence) = questions.located(id, observation, during: change, at: instant) else { return }
        // Answers must not keep this host's own steps from the ledger; who needs this one asks again.
        guard outbox.waiting.count < Self.waitingAnswers else { return }
        let step = OrderStep.answered(presence: presence, question: askedAt, isPersistent: isPersistent)
        outbox.put(OrderReport(order: id, host: host, at: instant, step: step))
        if let vm { noteAnswer(presence, about: vm) }
    }
}

/// Other hosts' questions that this host has not answered yet, the newest of each order.
struct OpenQuestions: Sendable {
    private struct Question: Sendable {
        let vm: VMID
        let asker: HostName
        let askedAt: Instant
        let mustAnswer: Bool
        let wantsDurable: Bool
        /// Whether the asker has an active copy: it then never removes its own because of a definition here.
        let isActiveThere: Bool
        /// When the question was asked for which this host's copy is being looked at.
        var lookingFor: Instant?
        /// Whether that copy has been about to change since the look began.
        var isLookStale = false
        var nextTry: Instant?

        /// Returns what this host may say about its copy while it pauses it: "running" could make the asker pause its own,
        /// too.
        ///
        /// The source of the copy waits for the result of the pause. Another asker needs only the objection, and soon: it
        /// waits for seconds before it resumes its copy.
        fileprivate func duringPause(_ observation: CopyObservation) -> CopyObservation {
            if mustAnswer || wantsDurable { return .silent("its copy here is being paused") }
            return observation == .seen(.running) ? .seen(.paused) : observation
        }

        /// Returns what this host may say about a definition that it is about to remove: the asker could take it for the VM,
        /// and remove its own.
        fileprivate func duringWithdrawal(_ observation: CopyObservation) -> CopyObservation {
            isActiveThere || observation != .seen(.inactive)
                ? observation : .silent("its definition here is being removed")
        }
    }

    /// How this host is changing its copy while it is asked.
    struct Change: Sendable {
        var isPausing: Bool
        var isWithdrawing: Bool
    }

    private var open: [OrderID: Question] = [:]

    /// A host asks one question for each VM that it searches; more are lost until it asks again.
    private static let limitPerAsker = 64
    /// Number of looks at once.
    private static let looks = 4
    private static let pause: Duration = .seconds(2)

    var isEmpty: Bool { open.isEmpty }

    /// Returns the VM of an order's open question.
    func vm(of id: OrderID) -> VMID? { open[id]?.vm }

    /// Whether a question about the VM has no answer yet.
    func isOpen(_ vm: VMID) -> Bool { open.values.contains { $0.vm == vm } }

    mutating func put(_ question: PresenceQuestion, in report: OrderReport, mustAnswer: Bool) {
        let known = open[report.order]
        if let known {
            // The later record wins, whatever its time: the asker's clock may have been set back.
            guard report.at != known.askedAt, report.host == known.asker else { return }
            // The look under way answers it as well: the asker takes an answer to any of its questions.
            if known.wantsDurable, question.wantsDurable == true, known.lookingFor != nil { return }
        } else if open.values.count(where: { $0.asker == report.host }) >= Self.limitPerAsker {
            return
        }
        open[report.order] = Question(
            vm: question.vm,
            asker: report.host,
            askedAt: report.at,
            mustAnswer: mustAnswer,
            wantsDurable: question.wantsDurable == true,
            isActiveThere: question.here != .inactive && question.here != .absent,
            lookingFor: known?.lookingFor,
            isLookStale: known?.isLookStale ?? false
        )
    }

    mutating func close(_ id: OrderID, askedAt: Instant) {
        if open[id]?.askedAt == askedAt { open[id] = nil }
    }

    /// Returns the questions for which this host's copy must be looked at now.
    mutating func due(at instant: Instant) -> [(OrderID, VMID, wantsDurable: Bool)] {
        let due = open.filter { _, question in
            // A clock that was set back must not delay the next try for longer than the pause.
            let waits = question.nextTry.map { instant < $0 && $0 - instant <= Self.pause } ?? false
            return question.lookingFor == nil && !waits
        }
        let free = Self.looks - open.values.count { $0.lookingFor != nil }
        let chosen = due.sorted { $0.key < $1.key }.prefix(max(0, free))
        for (id, question) in chosen { open[id]?.lookingFor = question.askedAt }
        return chosen.map { ($0.key, $0.value.vm, $0.value.wantsDurable) }
    }

    /// Discards the looks under way at a VM's copy, which is about to change.
    mutating func discardLooks(at vm: VMID) {
        for (id, question) in open where question.vm == vm && question.lookingFor != nil {
            open[id]?.isLookStale = true
        }
    }

    /// Returns the answer to a question, and when it was asked; `nil` if there is nothing to say.
    mutating func located(
        _ id: OrderID,
        _ observation: CopyObservation,
        during change: Change,
        at instant: Instant
    ) -> (askedAt: Instant, presence: DomainPresence)? {
        guard let question = open[id] else { return nil }
        open[id]?.lookingFor = nil
        open[id]?.isLookStale = false
        // A newer question needs a look that began after it.
        guard question.lookingFor == question.askedAt, !question.isLookStale else { return nil }
        let sayable = change.isWithdrawing ? question.duringWithdrawal(observation) : observation
        switch change.isPausing ? question.duringPause(sayable) : sayable {
        case .seen(let presence):
            open[id] = nil
            return presence != .absent || question.mustAnswer ? (question.askedAt, presence) : nil
        case .silent:
            open[id]?.nextTry = instant + Self.pause
            if !question.mustAnswer { open[id] = nil }
            return nil
        }
    }
}
