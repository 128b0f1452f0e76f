// SPDX-License-Identifier: Apache-2.0

/// How the controller uses its plans.
public enum OperatingMode: String, Codable, Sendable, CaseIterable {
    /// Nothing is planned, but hosts are judged.
    case off
    /// A shadow of `automatic`: moves are reported, but not carried out.
    case advise
    /// Moves are recommended; an operator carries them out (`evenkeel plan --apply`).
    case manual
    /// Moves are carried out.
    case automatic
}
