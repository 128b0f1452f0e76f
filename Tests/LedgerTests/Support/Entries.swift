// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Returns a sample that carries a number and a text of any kind and length.
func sample(_ number: Int, host: HostName = HostName("h1"), text: String = "") -> LoadSample {
    LoadSample(
        host: host,
        at: Instant(milliseconds: Int64(number)),
        cpu: CPULoad(capacityCores: 4, busyCores: 0.1 + Double(number)),
        failures: text.isEmpty ? [] : [SourceFailure(source: "test", reason: text)]
    )
}

func cancellation(_ number: Int, text: String = "test") -> OrderRecord {
    .cancel(id: OrderID("order-\(number)"), at: Instant(milliseconds: Int64(number)), reason: text)
}

func report(_ number: Int, host: HostName = HostName("h1"), text: String = "test") -> OrderReport {
    OrderReport(
        order: OrderID("order-\(number)"),
        host: host,
        at: Instant(milliseconds: Int64(number)),
        step: .failed(failure: OrderFailure(.refused, .other(text), .at(HostName("h1"))))
    )
}

extension OrderReport {
    /// The number passed to `report(_:)`.
    var number: Int { Int(at.milliseconds) }
}

extension LoadSample {
    /// The number passed to `sample(_:)`.
    var number: Int { Int(at.milliseconds) }
}
