// SPDX-License-Identifier: Apache-2.0
public import Coordination

/// A core with an optional recording of its events and effects.
///
/// An error of the recording ends only the recording.
public struct RecordedCore<Inner: Core>: Core {
    public private(set) var core: Inner
    private var writer: RecordingWriter?
    private let hasEnded: @Sendable (FleetFileError) -> Void

    /// Calls `hasEnded` once, with the error that ended the recording.
    public init(_ core: Inner, hasEnded: @escaping @Sendable (FleetFileError) -> Void) {
        self.core = core
        self.hasEnded = hasEnded
    }

    /// Starts the recording; must be called before the first event.
    ///
    /// Returns the path of the file, with a number appended if the name was taken; `nil` if it cannot be created.
    public mutating func record(to path: String, _ header: RecordingHeader) -> String? {
        do {
            writer = try RecordingWriter(path: path, header)
        } catch {
            hasEnded(error)
        }
        return writer?.path
    }

    mutating func record(to writer: RecordingWriter) { self.writer = writer }

    /// Passes the event to the core and writes the recording on the caller's thread.
    public mutating func handle(_ event: Inner.Event) -> [Inner.Effect] {
        let effects = core.handle(event)
        do {
            try writer?.append(RecordedStep<Inner>(event: event, effects: effects))
        } catch {
            writer = nil
            hasEnded(error)
        }
        return effects
    }
}
