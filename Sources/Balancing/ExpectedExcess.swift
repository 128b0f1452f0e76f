// SPDX-License-Identifier: Apache-2.0

/// By how much a load that varies is above a line on average.
///
/// For a normal load that is s × (φ(z) - z × Φ(-z)), z the distance from its mean up to the line in standard deviations
/// s: the loss function of inventory theory. The sum of many VMs' loads is nearly normal. Tabulated, since it is wanted
/// for every candidate.
struct ExpectedExcess: Sendable {
    private let table: [Double]
    private static let step = 1.0 / 64
    private static let farthest = 4.0

    init() {
        // From the far end inwards: L(z) is the integral of Φ(-z), and that of φ; each by the trapezoidal rule.
        let count = Int(2 * Self.farthest / Self.step)
        var table = [Double](repeating: 0, count: count + 1)
        // φ(-4) and e^(-step²/2), e^(-step²): each value follows from the one before by e^(-z × step - step²/2).
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

    /// `distance`: from the line up to the mean, negative where the mean is below the line.
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
