// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Fleet
internal import HostOS
public import Logging

/// A value that a service keeps in a file on its local disk.
///
/// Every call has a time limit, and a failure to write is logged once, and its end.
public actor LocalFile<Value: Codable & Sendable> {
    private let file: StateFile<Value>
    private let content: String
    private let logger: Logger
    private let limit: Duration
    /// One call after the other: a write that hung must not replace a later one when it goes on.
    private let disk: DispatchQueue
    private let writing = LastingFailure()
    /// Whether the disk did not answer the newest call within the limit.
    public private(set) var isHung = false

    public nonisolated var path: String { file.path }

    /// `content`: what the file contains, for the log.
    public init(path: String, of content: String, logger: Logger) {
        self.init(path: path, of: content, logger: logger, disk: DispatchQueue(label: "evenkeel.\(content)"))
    }

    init(path: String, of content: String, logger: Logger, disk: DispatchQueue, limit: Duration = .hangLimit) {
        file = StateFile(path: path)
        (self.content, self.logger, self.disk, self.limit) = (content, logger, disk, limit)
    }

    /// Returns the value of the previous run; `nil` if there is no file.
    public func read() async throws -> Value? {
        try await onDisk { [file] in try file.read() }
    }

    /// Replaces the file durably and returns whether that succeeded; the next call tries again.
    @discardableResult
    public func replace(_ value: Value) async -> Bool {
        do {
            try await onDisk { [file] in try file.replace(value) }
            if writing.take(nil) == .ended { logger.notice("the \(content) can be written again") }
            return true
        } catch {
            if case .began(let reason) = writing.take("\(error)") {
                logger.error("cannot write the \(content)", metadata: ["reason": "\(reason)"])
            }
            return false
        }
    }

    private func onDisk<Result: Sendable>(_ work: @Sendable @escaping () throws -> Result) async throws -> Result {
        let late = FleetFileError(file: path, reason: "the disk did not answer within \(limit.text)")
        do {
            let result = try await Blocking.run(within: limit, on: disk, late: { _ in late as any Error }, work)
            isHung = false
            return result
        } catch {
            isHung = error is FleetFileError
            throw error
        }
    }
}
