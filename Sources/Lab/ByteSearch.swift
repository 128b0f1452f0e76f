// SPDX-License-Identifier: Apache-2.0
internal import Glibc

enum ByteSearch {
    /// Returns the offsets of the non-overlapping occurrences of a byte string.
    static func offsets(of needle: [UInt8], in haystack: UnsafeRawBufferPointer) -> [Int] {
        guard let first = needle.first, let base = haystack.baseAddress else { return [] }
        var found: [Int] = []
        var offset = 0
        while let at = memchr(base + offset, Int32(first), haystack.count - offset) {
            let start = UnsafeRawPointer(at) - base
            guard start + needle.count <= haystack.count else { break }
            let isHere = memcmp(at, needle, needle.count) == 0
            if isHere { found.append(start) }
            offset = start + (isHere ? needle.count : 1)
        }
        return found
    }
}
