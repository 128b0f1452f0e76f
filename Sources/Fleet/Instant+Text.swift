// SPDX-License-Identifier: Apache-2.0

extension Instant {
    /// Returns the time in UTC for display: `2027-01-31 12:00:00Z`.
    public var readable: String {
        func digits(_ value: Int64) -> String { (value < 10 ? "0" : "") + "\(value)" }
        let seconds = Self.divided(milliseconds, by: 1000).quotient
        let (days, time) = Self.divided(seconds, by: 86400)
        let (year, month, day) = Self.date(days)
        let clock = [time / 3600, time / 60 % 60, time % 60].map(digits).joined(separator: ":")
        return "\(year)-\(digits(month))-\(digits(day)) \(clock)Z"
    }

    /// Returns the Gregorian date of a day counted from 1970-01-01.
    ///
    /// The computation lets years begin with March, so that a leap day is the last day of its year.
    /// 400 such years are one era.
    private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = divided(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    /// Returns quotient and remainder; the remainder is never negative.
    private static func divided(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
