// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Caches the values parsed from texts that are read often and seldom change.
final class ParsedTexts<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let known = Mutex<[Key: (text: String, value: Value)]>([:])

    /// Returns the parsed text; parses only a new or changed text.
    func value<E: Error>(of text: String, for key: Key, _ parse: (String) throws(E) -> Value) throws(E) -> Value {
        if let entry = known.withLock({ $0[key] }), entry.text == text { return entry.value }
        let value = try parse(text)
        known.withLock { $0[key] = (text, value) }
        return value
    }

    /// Removes all other keys to free their memory.
    func keep(only keys: Set<Key>) {
        known.withLock { $0 = $0.filter { keys.contains($0.key) } }
    }
}
