// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

struct EventQueueTests {
    @Test func `events come in order of time, and simultaneous ones in order of insertion`() {
        for seed in UInt64(1)...50 {
            var random = SplitMix64(seed: seed)
            var queue = EventQueue<Int>()
            let times = (0..<200).map { _ in Int64(random.below(40)) }
            for (number, at) in times.enumerated() { queue.put(number, at: at) }
            var taken: [Int] = []
            while let next = queue.next(until: 30) { taken.append(next.event) }
            let expected = times.indices.filter { times[$0] <= 30 }.sorted { (times[$0], $0) < (times[$1], $1) }
            #expect(taken == expected, "seed \(seed)")
            #expect(queue.next(until: 40) != nil, "later events stay")
        }
    }
}
