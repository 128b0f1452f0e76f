// SPDX-License-Identifier: Apache-2.0
import Dispatch
import HostOS
import Synchronization
import Testing

@Suite struct BlockingTests {
    struct Late: Error, Equatable { var hasBegun: Bool }

    @Test func `a call that hangs is reported, and a call that had not begun is dropped`() async throws {
        let queue = DispatchQueue(label: "test")
        let gate = DispatchSemaphore(value: 0)
        let late: @Sendable (Bool) -> Late = { Late(hasBegun: $0) }
        await #expect(throws: Late(hasBegun: true)) {
            try await Blocking.run(within: .milliseconds(100), on: queue, late: late) { () throws(Late) in gate.wait() }
        }
        await #expect(throws: Late(hasBegun: false)) {
            try await Blocking.run(within: .milliseconds(50), on: queue, late: late) { () throws(Late) in
                Issue.record("work that was dropped was done")
            }
        }
        gate.signal()
        let result = try await Blocking.run(within: .seconds(20), on: queue, late: late) { () throws(Late) in 7 }
        #expect(result == 7)
    }

    @Test func `a call on its own thread returns its result, throws its error, or is late`() async throws {
        struct Failed: Error {}
        let late: @Sendable (Bool) -> any Error = { Late(hasBegun: $0) }
        #expect(try await Blocking.run(within: .seconds(20), late: late, { 7 }) == 7)
        await #expect(throws: Failed.self) {
            try await Blocking.run(within: .seconds(20), late: late) { throw Failed() }
        }
        await #expect(throws: Failed.self) { try await Blocking.run { throw Failed() } }
        let gate = DispatchSemaphore(value: 0)
        await #expect(throws: Late(hasBegun: true)) {
            try await Blocking.run(within: .milliseconds(100), late: late) { gate.wait() }
        }
        gate.signal()
    }

    @Test func `a call that has returned keeps nothing until its limit`() async throws {
        weak var held: Held?
        do {
            let captured = Held()
            held = captured
            let late: @Sendable (Bool) -> Late = { _ in captured.late }
            #expect(try await Blocking.run(within: .seconds(600), late: late, { () throws(Late) in 7 }) == 7)
        }
        for _ in 0..<1000 where held != nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(held == nil, "in a program that calls often, every call would take memory for the whole limit")
    }

    @Test func `a background call that hangs is not repeated until it returns`() async throws {
        let call = BackgroundCall()
        let gate = DispatchSemaphore(value: 0)
        let begun = Atomic(0)
        func run() -> Int? {
            call.run(within: .milliseconds(50)) { [begun] in
                let number = begun.add(1)
                if number == 1 { gate.wait() }
                return number
            }
        }
        #expect(run() == nil && run() == nil && begun.value == 1)
        gate.signal()
        var answer: Int?
        for _ in 0..<200 where answer == nil {
            answer = run()
            if answer == nil { try await Task.sleep(for: .milliseconds(10)) }
        }
        #expect(answer == 2)
    }

    @Test func `a call that hangs keeps its slot until it returns`() async throws {
        let slots = CallSlots(1)
        let gate = DispatchSemaphore(value: 0)
        let first = try #require(OutstandingCall(in: slots) { gate.wait() })
        #expect(OutstandingCall(in: slots) { Issue.record("a call without a slot was made") } == nil)
        #expect(first.wait(.milliseconds(20)) == nil && !slots.take())
        gate.signal()
        while !slots.take() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(first.wait(.seconds(20)) != nil)
    }

    @Test func `an interval saturates instead of overflowing`() {
        #expect(DispatchTimeInterval(.milliseconds(1500)) == .nanoseconds(1_500_000_000))
        #expect(DispatchTimeInterval(.seconds(Int64.max)) == .nanoseconds(.max))
        #expect(DispatchTimeInterval(.zero) == .nanoseconds(0))
    }
}

private final class Held: Sendable {
    let late = BlockingTests.Late(hasBegun: true)
}

private final class Atomic: Sendable {
    private let count: Mutex<Int>
    init(_ count: Int) { self.count = Mutex(count) }
    var value: Int { count.withLock { $0 } }
    func add(_ number: Int) -> Int {
        count.withLock { count in
            count += number
            return count
        }
    }
}
