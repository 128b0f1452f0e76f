// SPDX-License-Identifier: Apache-2.0
public import Coordination

/// A core and, if it is asked for, the recording of what it is told and does.
///
/// What cannot be recorded ends the recording and nothing else.
public struct RecordedCore<Inner: Core>: Core {
    public private(set) var core: Inner
    private var writer: RecordingWriter?
    private let hasEnded: @Sendable (FleetFileError) -> Void

    /// `hasEnded` is told once why nothing more is recorded.
    public init(_ core: Inner, hasEnded: @escaping @Sendable (FleetFileError) -> Void) {
        self.core = core
        self.hasEnded = hasEnded
    }

    /// Records from now on, which must be before the first event.
    ///
    /// Returns the file's path, which has a number behind it where the name was taken; `nil` if there can be none.
    public mutating func record(to path: String, _ header: RecordingHeader) -> String? {
        do {
            writer = try RecordingWriter(path: path, header)
        } catch {
            hasEnded(error)
        }
        return writer?.path
    }

    mutating func record(to writer: RecordingWriter) { self.writer = writer }

    /// Writes to the recording on the caller's thread, like a line to a log.
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
