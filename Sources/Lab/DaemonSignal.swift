// SPDX-License-Identifier: Apache-2.0

/// The ways to stop a daemon.
public enum DaemonSignal: Int32, Sendable {
    /// Simulates a crash.
    case kill = 9
    /// Stops it as its service manager does.
    case terminate = 15
}
