// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Foundation

/// libvirt's own event loop, on a thread of its own, once per process.
///
/// Keepalive and events of remote connections work only if it was registered before the first connection was opened.
enum EventLoop {
    /// Starts it on first use.
    static func ensureRunning() { started }

    private static let started: Void = {
        // libvirt prints each error to stderr unless a handler is set; here errors are thrown instead.
        virSetErrorFunc(nil) { _, _ in }
        guard virInitialize() >= 0, virEventRegisterDefaultImpl() >= 0 else { return }
        // The loop blocks while nothing is registered; a timer that never fires keeps it turning over new handles.
        virEventAddTimeout(5_000, { _, _ in }, nil, nil)
        let thread = Thread {
            while true {
                // It fails only when poll() does; without the pause such a failure would spin.
                if virEventRunDefaultImpl() < 0 { Thread.sleep(forTimeInterval: 0.1) }
            }
        }
        thread.name = "libvirt-events"
        thread.start()
    }()
}
