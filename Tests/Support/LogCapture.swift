// SPDX-License-Identifier: Apache-2.0
package import Logging
import Synchronization

/// The lines that a service logs.
package final class LogCapture: Sendable {
    private let lines = Mutex<[String]>([])

    package init() {}

    package func contains(_ words: String) -> Bool { count(words) > 0 }

    package func count(_ words: String) -> Int { lines.withLock { $0.count { $0.contains(words) } } }

    package func logger(_ label: String) -> Logger { Logger(label: label) { Handler(capture: self, label: $0) } }

    private struct Handler: LogHandler {
        let capture: LogCapture
        let label: String
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            capture.lines.withLock { $0.append("\(label) \(event.message) \(event.metadata ?? [:])") }
        }
    }
}
