// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Foundation

/// A recording: its header, and its steps, which are decoded on demand.
public struct Recording: Sendable {
    public let header: RecordingHeader
    /// Whether the last line is incomplete: the process was killed or the disk was full while it was written.
    ///
    /// Such a line is not part of the recording.
    public let isTorn: Bool
    private let name: String
    private let bytes: Data
    private let firstStep: Data.Index

    /// Reads the header of a file.
    public init(_ bytes: Data, name: String) throws(FleetFileError) {
        guard let end = bytes.firstIndex(of: Self.newline) else {
            throw FleetFileError(
                file: name,
                line: 1,
                reason: "it is not a recording, or it ended before its first line was complete"
            )
        }
        let line = bytes[bytes.startIndex..<end]
        let signature: Signature
        do {
            signature = try JSONDecoder().decode(Signature.self, from: line)
        } catch {
            throw FleetFileError(file: name, line: 1, reason: "it is not a recording; 'evenkeel … --record' writes one")
        }
        guard signature.format == RecordingHeader.format else {
            let reason = "it is not a recording: its format is '\(signature.format)', not '\(RecordingHeader.format)'"
            throw FleetFileError(file: name, line: 1, reason: reason)
        }
        guard signature.version == RecordingHeader.version else {
            let reason = "its version is \(signature.version); this program reads version \(RecordingHeader.version)"
            throw FleetFileError(file: name, line: 1, reason: reason)
        }
        header = try Self.decode(RecordingHeader.self, from: line, file: name, number: 1)
        self.name = name
        self.bytes = bytes
        firstStep = bytes.index(after: end)
        isTorn = bytes.last != Self.newline
    }

    /// Passes each step of a recording of this core to `take`, in order.
    public func forEach<C: Core>(of core: C.Type, _ take: (RecordedStep<C>) -> Void) throws(FleetFileError) {
        var start = firstStep
        var number = 2
        while let end = bytes[start...].firstIndex(of: Self.newline) {
            take(try Self.decode(RecordedStep<C>.self, from: bytes[start..<end], file: name, number: number))
            start = bytes.index(after: end)
            number += 1
        }
    }

    /// The fields that identify a recording of any version.
    private struct Signature: Decodable {
        var format: String
        var version: Int
    }

    private static let newline = UInt8(ascii: "\n")

    private static func decode<Line: Decodable>(
        _ type: Line.Type,
        from line: Data,
        file: String,
        number: Int
    ) throws(FleetFileError) -> Line {
        do {
            return try JSONDecoder().decode(type, from: line)
        } catch let error as DecodingError {
            throw FleetFileError(file: file, line: number, reason: text(error))
        } catch {
            throw FleetFileError(file: file, line: number, reason: "\(error)")
        }
    }

    private static func text(_ error: DecodingError) -> String {
        func at(_ path: [any CodingKey]) -> String {
            path.isEmpty
                ? "the line" : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(at(context.codingPath)) has no '\(key.stringValue)'"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\(at(context.codingPath)): \(context.debugDescription)"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is not JSON" : "\(at(context.codingPath)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
