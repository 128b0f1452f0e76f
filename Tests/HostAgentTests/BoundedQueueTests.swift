// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(1))) struct BoundedQueueTests {
    private let queue = BoundedQueue<Int>(limit: 2)

    @Test func `a sender waits while the queue is full, and order is kept`() async {
        let sent = Sent()
        await withTaskGroup(of: Void.self) { [queue] group in
            group.addTask {
                for number in 1...100 {
                    await queue.send(number)
                    sent.number.withLock { $0 = number }
                }
            }
            for number in 1...100 {
                #expect(await queue.next() == number)
                // Received, in the queue, or about to be sent.
                #expect(sent.number.withLock { $0 } <= number + 2)
            }
        }
    }

    private final class Sent: Sendable {
        let number = Mutex(0)
    }

    @Test func `an element offered to a full queue is dropped`() async {
        for number in 1...3 { queue.offer(number) }
        #expect(await queue.next() == 1)
        queue.offer(4)
        #expect(await queue.next() == 2)
        #expect(await queue.next() == 4)
    }

    @Test func `a finished queue blocks no sender`() async {
        for number in 1...2 { await queue.send(number) }
        await withTaskGroup(of: Void.self) { [queue] group in
            for number in 3...5 { group.addTask { await queue.send(number) } }
            await Task.yield()
            queue.finish()
        }
        await queue.send(6)
        #expect(await queue.next() == nil)
    }

    @Test func `a receiver that is cancelled finishes the queue`() async {
        let receiver = Task { [queue] in await queue.next() }
        receiver.cancel()
        #expect(await receiver.value == nil)
        for number in 1...5 { await queue.send(number) }
    }
}
