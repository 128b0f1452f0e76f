// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

/// The two formats of load traces.
struct PlanetLabTraceTests {
    @Test func `each line is a percentage`() throws {
        let trace = try Trace(name: "vm", text: "0\n25\n100\n")
        #expect(trace.demand == [0, 0.25, 1])
        #expect(trace.name == "vm" && trace.vcpus == nil && trace.memoryBytes == nil)
    }

    @Test(arguments: ["50\r\n25\r\n", "\n50\n\n25", "  50\t\n 25 \n\n\n", "50.0\n2.5e1"])
    func `blank lines, spaces and line ends do not matter`(_ text: String) throws {
        #expect(try Trace(name: "vm", text: text).demand == [0.5, 0.25])
    }

    @Test(arguments: [("7\n\nseven\n", 3), ("101", 1), ("1\r\n-1\r\n", 2), ("1\nnan", 2), ("1\n2,5\n", 2)])
    func `a bad value is reported with file and line`(_ text: String, _ line: Int) {
        let error = #expect(throws: TraceError.self) { try Trace(name: "day/vm-1", text: text) }
        #expect(error?.file == "day/vm-1" && error?.line == line)
        #expect(error?.description.hasPrefix("day/vm-1, line \(line): a CPU percentage") == true)
    }

    @Test(arguments: ["", "\n\n", " \r\n\t"])
    func `an empty file is reported as empty`(_ text: String) {
        let error = #expect(throws: TraceError.self) { try Trace(name: "vm", text: text) }
        #expect(error?.description == "vm: the file is empty")
    }
}

struct BitbrainsTraceTests {
    /// In the published files the header says milliseconds, but the values are seconds.
    private static let header = """
        Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];\t\
        Memory capacity provisioned [KB];\tMemory usage [KB]
        """

    private func text(_ rows: [(time: Int, usage: Double)], unit: Int = 1, header: String = header) -> String {
        let start = 1_376_314_846
        return rows.reduce(header + "\n") {
            $0 + "\(start * unit + $1.time * unit);\t4;\t10400.0;\t\($1.usage);\t0.9;\t8388608.0;\t1000.0\n"
        }
    }

    @Test func `size and share come from the columns`() throws {
        let trace = try Trace(name: "1.csv", text: text([(0, 2600), (300, 5200), (600, 20_800)]))
        #expect(trace.demand == [0.25, 0.5, 1], "at most all it has")
        #expect(trace.vcpus == 4)
        #expect(trace.memoryBytes == 8 << 30)
    }

    @Test(arguments: [1, 1000])
    func `gaps keep the last value, in seconds and in milliseconds`(_ unit: Int) throws {
        let rows = [(0, 2600.0), (299, 5200), (1201, 10_400), (1500, 0)]
        #expect(try Trace(name: "vm", text: text(rows, unit: unit)).demand == [0.25, 0.5, 0.5, 0.5, 1, 0])
    }

    @Test func `rows may come in any order, and the last one of a step counts`() throws {
        let rows = [(600, 10_400.0), (0, 2600), (300, 0), (310, 5200)]
        #expect(try Trace(name: "vm", text: text(rows)).demand == [0.25, 0.5, 1])
    }

    @Test func `Windows line ends and columns in another order are read`() throws {
        let text = [
            "CPU usage [MHZ];CPU cores;Memory capacity provisioned [KB];Timestamp [ms];CPU capacity provisioned [MHZ]",
            "1300;2;4194304;1376314846;5200", "",
        ].joined(separator: "\r\n")
        let trace = try Trace(name: "vm", text: text)
        #expect(trace.demand == [0.25] && trace.vcpus == 2 && trace.memoryBytes == 4 << 30)
    }

    @Test func `a missing column is named`() {
        let header = Self.header.replacing("CPU usage [MHZ]", with: "CPU consumption [MHZ]")
        let error = #expect(throws: TraceError.self) { try Trace(name: "vm.csv", text: text([(0, 1)], header: header)) }
        #expect(error?.description == "vm.csv, line 1: the column 'cpu usage [mhz]' is missing")
    }

    @Test func `a bad value is reported with column and line`() {
        let bad = text([(0, 1), (300, 2)]).replacing("\t2.0;", with: "\tbusy;")
        let error = #expect(throws: TraceError.self) { try Trace(name: "vm.csv", text: bad) }
        #expect(error?.description == "vm.csv, line 3: the value of 'cpu usage [mhz]' must be a number, not 'busy'")
        let cut = #expect(throws: TraceError.self) {
            try Trace(name: "vm.csv", text: text([(0, 1)]) + "1376315000;\t4")
        }
        #expect(cut?.line == 3)
    }

    @Test func `a header alone is not a trace`() {
        let error = #expect(throws: TraceError.self) { try Trace(name: "vm.csv", text: Self.header) }
        #expect(error?.description == "vm.csv: the file has no values after the header")
    }

    @Test func `an implausible timestamp does not fill the memory`() throws {
        let trace = try Trace(name: "vm", text: text([(0, 2600), (900_000_000, 5200)]))
        #expect(trace.demand.count <= 105_121)
    }
}
