// SPDX-License-Identifier: Apache-2.0

/// The mean excess of a varying load above a line.
///
/// For a normal load it is s × (φ(z) - z × Φ(-z)): s is the standard deviation, z the distance from the mean up to the
/// line, divided by s. This is the loss function of inventory theory. The sum of many VMs' loads is nearly normal. The
/// values are tabulated because every candidate needs one.
struct ExpectedExcess: Sendable {
    private let table: [Double]
    private static let step = 1.0 / 64
    private static let farthest = 4.0

    init() {
        // From the far end inwards: L(z) is the integral of Φ(-z), and Φ(-z) that of φ; both by the trapezoidal rule.
        let count = Int(2 * Self.farthest / Self.step)
        var table = [Double](repeating: 0, count: count + 1)
        // φ(-4), then the factors e^(-z × step - step²/2) from each value to the next; they change by e^(-step²).
        var density = 1.338_302_257_648_853_5e-4
        let squareStep = Self.step * Self.step
        // e^x for a small x.
        func exponential(_ x: Double) -> Double { 1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4))) }
        var ratio = exponential(Self.farthest * Self.step - squareStep / 2)
        let change = exponential(-squareStep)
        var densities = [density]
        for _ in 0..<count {
            density *= ratio
            ratio *= change
            densities.append(density)
        }
        var tail = 3.167_124_183_311_992e-5
        table[count] = 7.145_258_4e-6
        for index in stride(from: count - 1, through: 0, by: -1) {
            let outer = tail
            tail += (densities[index] + densities[index + 1]) / 2 * Self.step
            table[index] = table[index + 1] + (tail + outer) / 2 * Self.step
        }
        self.table = table
    }

    /// Returns the mean excess; `distance` is the mean minus the line, in the unit of the load.
    @inline(__always)
    func mean(above distance: Double, variance: Double) -> Double {
        let deviation = variance.squareRoot()
        let place = (Self.farthest - distance / deviation) / Self.step
        if place <= 0 { return distance }
        guard place < Double(table.count - 1) else { return 0 }
        let index = Int(place)
        let share = place - Double(index)
        return deviation * (table[index] * (1 - share) + table[index + 1] * share)
    }
}
