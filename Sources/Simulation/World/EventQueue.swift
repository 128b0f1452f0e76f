// SPDX-License-Identifier: Apache-2.0

/// Pending events in the order of time; events at the same time in the order of insertion.
struct EventQueue<Event> {
    private struct Entry {
        var at: Int64
        var number: UInt64
        var event: Event

        func isBefore(_ other: Entry) -> Bool { at != other.at ? at < other.at : number < other.number }
    }
    private var heap: [Entry] = []
    private var count: UInt64 = 0

    /// Adds an event; `at` in milliseconds of virtual time.
    mutating func put(_ event: Event, at: Int64) {
        heap.append(Entry(at: at, number: count, event: event))
        count += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next(until end: Int64) -> (at: Int64, event: Event)? {
        guard let first = heap.first, first.at <= end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < heap.count else { break }
            let right = left + 1
            let least = right < heap.count && heap[right].isBefore(heap[left]) ? right : left
            guard heap[least].isBefore(heap[parent]) else { break }
            heap.swapAt(least, parent)
            parent = least
        }
        return (first.at, first.event)
    }
}
