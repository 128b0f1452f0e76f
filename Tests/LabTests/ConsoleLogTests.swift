// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

struct ConsoleLogTests {
    @Test func `the guest's output is read`() throws {
        let log = ConsoleLog(
            parsing: """
                [    0.1] a message of the kernel
                EK start seed=01 rounds=5 dirty=0.50 marker=X
                EK t=3094 at=1795415108300 units=11 rate=10.97 mem=ok disk=1
                EK t=4095 at=1795415109300 units=21 rate=9.99 mem=ok disk=2

                """
        )
        #expect(log.starts == 1)
        #expect(log.errors.isEmpty)
        let last = try #require(log.readings.last)
        #expect(last.uptime == .milliseconds(4095))
        #expect(last.at == Instant(milliseconds: 1_795_415_109_300))
        #expect(last.units == 21)
        #expect(last.rate == 9.99)
        #expect(last.memoryProblem == nil)
        #expect(last.diskSequence == 2)
        #expect(log.rate(from: log.readings[0].at, to: last.at) == 10)
        #expect(log.rate(from: last.at, to: last.at) == nil)
    }

    @Test func `an incomplete line is skipped`() {
        let log = ConsoleLog(
            parsing: "EK t=1 at=2 units=3 rate=4 mem=ok disk=5\nEK t=2 at=3 units=4 rate=5 mem=ok disk=6"
        )
        #expect(log.readings.count == 1)
        #expect(ConsoleLog(parsing: "EK t=1 at=2 units=3 rate=4 mem=ok disk=5").readings.isEmpty)
        #expect(ConsoleLog(parsing: "").readings.isEmpty)
    }

    @Test func `bad memory, a bad disk and errors are reported`() throws {
        let log = ConsoleLog(
            parsing: "EK error=module:virtio.ko\nEK t=1 at=2 units=3 rate=4.0 mem=BAD:fixed:7:00ff disk=BAD:gap\n"
        )
        #expect(log.errors == ["module:virtio.ko"])
        let reading = try #require(log.readings.first)
        #expect(reading.memoryProblem == "BAD:fixed:7:00ff")
        #expect(reading.diskProblem == "BAD:gap")
        #expect(reading.diskSequence == nil)
    }

    @Test func `a time that goes back without a boot is counted`() {
        func reading(_ time: Int) -> String { "EK t=\(time) at=1 units=1 rate=10 mem=ok disk=1\n" }
        #expect(ConsoleLog(parsing: reading(1) + reading(2) + reading(3)).setbacks == 0)
        #expect(ConsoleLog(parsing: reading(8) + reading(5) + reading(9) + reading(6)).setbacks == 2)
        let booted = ConsoleLog(parsing: reading(8) + "EK start seed=01\n" + reading(5))
        #expect(booted.setbacks == 0 && booted.starts == 1)
    }

    @Test func `a problem counts although a boot or another copy follows`() {
        let bad = "EK t=5 at=1 units=1 rate=10 mem=BAD:fixed:7:00ff disk=5\n"
        let good = "EK t=3 at=1 units=1 rate=10 mem=ok disk=6\n"
        #expect(ConsoleLog(parsing: bad + bad + "EK start seed=01\n" + good).problems == ["mem=BAD:fixed:7:00ff"])
        #expect(ConsoleLog(parsing: bad + good).problems == ["mem=BAD:fixed:7:00ff"])
        #expect(ConsoleLog(parsing: good).problems.isEmpty)
    }

    @Test func `a torn line shows no problem`() {
        #expect(ConsoleLog(parsing: "EK t=5 at=1 units=1 rate=10 mem=o disk=5\n").readings.isEmpty)
        #expect(ConsoleLog(parsing: "EK t=5 at=1 units=1 rate=10 mem=ok disk=1EK\n").readings.isEmpty)
    }

    @Test func `writes that the guest had reported and that are gone after a boot are lost`() {
        func reading(_ time: Int, _ disk: Int) -> String { "EK t=\(time) at=1 units=1 rate=10 mem=ok disk=\(disk)\n" }
        let boot = "EK start seed=01\n"
        // Until it has read its disk, a booted guest prints 0.
        #expect(ConsoleLog(parsing: reading(9, 50) + boot + reading(1, 0) + reading(2, 50)).lostWrites.isEmpty)
        #expect(ConsoleLog(parsing: reading(9, 50) + boot + reading(1, 0) + reading(2, 49)).lostWrites.count == 1)
        #expect(ConsoleLog(parsing: boot + reading(1, 49), after: 50).problems.count == 1)
        #expect(ConsoleLog(parsing: boot + reading(1, 50), after: 50).problems.isEmpty)
        // A copy that is behind has lost nothing.
        #expect(ConsoleLog(parsing: reading(9, 50) + reading(5, 46) + reading(6, 47)).lostWrites.isEmpty)
    }

    @Test func `a boot after a torn line is counted`() {
        let log = ConsoleLog(parsing: "EK t=3000 at=17EK start seed=01 rounds=5\n")
        #expect(log.starts == 1 && log.readings.isEmpty)
    }
}
