// SPDX-License-Identifier: Apache-2.0

/// How a daemon is ended or disturbed.
public enum DaemonSignal: Int32, Sendable {
    /// Like a crash.
    case kill = 9
    /// As its service manager would stop it.
    case terminate = 15
}
