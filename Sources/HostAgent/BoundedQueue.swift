// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A queue from many senders to one receiver, in order; a sender waits while `limit` elements are waiting.
///
/// Once it is finished, or the receiver's task is cancelled, nothing more is received and no sender waits.
final class BoundedQueue<Element: Sendable>: Sendable {
    private struct State {
        var waiting: [Element] = []
        /// Senders whose element has no room yet, in their order.
        var senders: [(element: Element, room: CheckedContinuation<Void, Never>)] = []
        var receiver: CheckedContinuation<Element?, Never>?
        var isFinished = false

        mutating func put(_ element: Element, limit: Int) -> Bool {
            if let receiver {
                self.receiver = nil
                receiver.resume(returning: element)
                return true
            }
            guard waiting.count < limit else { return false }
            waiting.append(element)
            return true
        }

        mutating func receive(_ receiver: CheckedContinuation<Element?, Never>) {
            guard !waiting.isEmpty else {
                if isFinished { receiver.resume(returning: nil) } else { self.receiver = receiver }
                return
            }
            receiver.resume(returning: waiting.removeFirst())
            guard !senders.isEmpty else { return }
            let sender = senders.removeFirst()
            waiting.append(sender.element)
            sender.room.resume()
        }
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Returns once the element is in the queue, or the queue is finished.
    func send(_ element: Element) async {
        await withCheckedContinuation { room in
            let isIn = state.withLock { state in
                if state.isFinished || state.put(element, limit: limit) { return true }
                state.senders.append((element, room))
                return false
            }
            if isIn { room.resume() }
        }
    }

    /// Adds the element if there is room; drops it otherwise.
    func offer(_ element: Element) {
        state.withLock { state in
            guard !state.isFinished else { return }
            _ = state.put(element, limit: limit)
        }
    }

    /// Waits for the next element and returns it; `nil` when the queue is finished.
    func next() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { receiver in
                state.withLock { $0.receive(receiver) }
            }
        } onCancel: {
            finish()
        }
    }

    func finish() {
        state.withLock { state in
            state.isFinished = true
            state.waiting = []
            for sender in state.senders { sender.room.resume() }
            state.senders = []
            state.receiver?.resume(returning: nil)
            state.receiver = nil
        }
    }
}
