// SPDX-License-Identifier: Apache-2.0

/// What the controller does with its plans.
public enum OperatingMode: String, Codable, Sendable, CaseIterable {
    /// Nothing is planned; hosts are judged all the same.
    case off
    /// A shadow of `automatic`: it is announced what would be done, and nothing is done.
    case advise
    /// Moves are recommended; an operator carries them out (`evenkeel plan --apply`).
    case manual
    /// Moves are carried out.
    case automatic
}
