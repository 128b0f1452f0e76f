// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Values parsed from texts that are read again and again and seldom change; only a changed text is parsed.
final class ParsedTexts<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let known = Mutex<[Key: (text: String, value: Value)]>([:])

    /// Returns what `parse` makes of the text, or made of it before.
    func value<E: Error>(of text: String, for key: Key, _ parse: (String) throws(E) -> Value) throws(E) -> Value {
        if let entry = known.withLock({ $0[key] }), entry.text == text { return entry.value }
        let value = try parse(text)
        known.withLock { $0[key] = (text, value) }
        return value
    }

    /// Forgets all other keys, so that what is gone takes no memory.
    func keep(only keys: Set<Key>) {
        known.withLock { $0 = $0.filter { keys.contains($0.key) } }
    }
}
