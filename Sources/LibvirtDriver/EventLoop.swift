// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Foundation

/// libvirt's own event loop, on a dedicated thread, once per process.
///
/// Keepalive and events of remote connections work only if the loop is registered before the first connection opens.
enum EventLoop {
    /// Starts the loop on first use.
    static func ensureRunning() { started }

    private static let started: Void = {
        // libvirt prints each error to stderr unless a handler is set; this driver throws them instead.
        virSetErrorFunc(nil) { _, _ in }
        guard virInitialize() >= 0, virEventRegisterDefaultImpl() >= 0 else { return }
        // The loop blocks while nothing is registered. This timer has no effect except to make the loop notice new
        // handles.
        virEventAddTimeout(5_000, { _, _ in }, nil, nil)
        let thread = Thread {
            while true {
                // It fails only if poll() fails; without the pause it would then spin.
                if virEventRunDefaultImpl() < 0 { Thread.sleep(forTimeInterval: 0.1) }
            }
        }
        thread.name = "libvirt-events"
        thread.start()
    }()
}
