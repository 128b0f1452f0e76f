// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc
internal import Subprocess
internal import SystemPackage

/// An external program with its arguments and a time limit.
public struct Command: Sendable, CustomStringConvertible {
    public var program: String
    public var arguments: [String]
    public var environment: [String: String]
    public var timeLimit: Duration

    public init(
        _ program: String,
        _ arguments: [String] = [],
        environment: [String: String] = [:],
        timeLimit: Duration = .hangLimit
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.timeLimit = timeLimit
    }

    public var description: String { ([program] + arguments).joined(separator: " ") }
}

/// The result of a finished command.
public struct CommandResult: Sendable {
    public var exitCode: Int32
    public var standardOutput: String
    public var standardError: String
    public var succeeded: Bool { exitCode == 0 }

    public init(exitCode: Int32, standardOutput: String = "", standardError: String = "") {
        self.exitCode = exitCode
        self.standardOutput = standardOutput
        self.standardError = standardError
    }
}

/// An error of a command.
public enum CommandError: Error, Sendable, CustomStringConvertible {
    case cannotStart(command: String, reason: String)
    case timedOut(command: String, limit: Duration)
    case failed(command: String, exitCode: Int32, output: String)

    public var description: String {
        switch self {
        case .cannotStart(let command, let reason): "cannot start '\(command)': \(reason)"
        case .timedOut(let command, let limit): "'\(command)' was stopped: it took longer than \(limit.text)"
        case .failed(let command, let exitCode, let output):
            "'\(command)' failed with exit code \(exitCode)\(output.isEmpty ? "" : ": \(output)")"
        }
    }
}

extension Command {
    /// Runs the command and returns its result, whatever its exit code.
    ///
    /// `input` is its standard input. On cancellation or after the time limit, it receives SIGTERM and, two seconds
    /// later, SIGKILL.
    public func result(input: String = "") async throws -> CommandResult {
        try await withThrowingTaskGroup(of: CommandResult?.self) { group in
            group.addTask { try await self.runToEnd(input: input) }
            group.addTask {
                try await Task.sleep(for: timeLimit)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                throw CommandError.timedOut(command: description, limit: timeLimit)
            }
            return result
        }
    }

    /// Runs the command and returns its standard output; throws its output if the exit code is not 0.
    @discardableResult
    public func run(input: String = "") async throws -> String {
        let result = try await result(input: input)
        guard result.succeeded else {
            let output = result.standardError.isEmpty ? result.standardOutput : result.standardError
            throw CommandError.failed(
                command: description,
                exitCode: result.exitCode,
                output: String(output.suffix(2000)).trimmedOfNewlines
            )
        }
        return result.standardOutput
    }

    private static let outputLimit = 16 << 20
    /// A program that ends before it has read its input must not end this one.
    private static let brokenPipesAreIgnored: Bool = {
        signal(SIGPIPE, SIG_IGN)
        return true
    }()

    private func runToEnd(input: String) async throws -> CommandResult {
        _ = Self.brokenPipesAreIgnored
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))]
        var updates: [Environment.Key: String?] = [:]
        for (name, value) in environment { updates[Environment.Key(stringLiteral: name)] = value }
        do {
            // Do not use a pipe: swift-subprocess 1.0.2 ends the whole process if a write to a pipe fails or is
            // cancelled, because it releases the writer without closing it.
            let environment = Environment.inherit.updating(updates)
            return input.isEmpty
                ? try await finish(options, environment, input: .none)
                : try await finish(
                    options,
                    environment,
                    input: .fileDescriptor(try Self.file(of: input), closeAfterSpawningProcess: true)
                )
        } catch let error as Errno {
            throw CommandError.cannotStart(command: description, reason: "no file for its input: \(error)")
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw CommandError.cannotStart(command: description, reason: String(describing: error))
        }
    }
}

extension Command {
    /// Returns an unnamed file in memory that contains the text.
    private static func file(of text: String) throws -> FileDescriptor {
        let path = "/dev/shm/evenkeel.\(getpid()).\(UInt64.random(in: .min ... .max))"
        let file = try FileDescriptor.open(
            FilePath(path),
            .readWrite,
            options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: .ownerReadWrite
        )
        unlink(path)
        do {
            try file.writeAll(Array(text.utf8))
            _ = try file.seek(offset: 0, from: .start)
            return file
        } catch {
            try? file.close()
            throw error
        }
    }

    private func finish(
        _ options: PlatformOptions,
        _ environment: Environment,
        input: some InputProtocol
    ) async throws -> CommandResult {
        let finished = try await Subprocess.run(
            program.contains("/") ? .path(FilePath(program)) : .name(program),
            arguments: Arguments(arguments),
            environment: environment,
            platformOptions: options,
            input: input,
            output: .string(limit: Self.outputLimit),
            error: .string(limit: Self.outputLimit)
        )
        try Task.checkCancellation()
        let exitCode: Int32 =
            switch finished.terminationStatus {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        return CommandResult(
            exitCode: exitCode,
            standardOutput: finished.standardOutput,
            standardError: finished.standardError
        )
    }
}

extension String {
    fileprivate var trimmedOfNewlines: String {
        var text = Substring(self)
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
