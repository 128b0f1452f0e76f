// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Synchronization

/// The last whole sample that this opening has written: later ones state only what has changed since then.
///
/// It is taken for each append, so that the sample after a failed append is whole.
final class LastWholeSample: Sendable {
    private let basis = Mutex<SampleBasis?>(nil)

    func take() -> SampleBasis? {
        basis.withLock { basis in
            defer { basis = nil }
            return basis
        }
    }

    /// Keeps the basis of an append that has succeeded, or the entry itself if it was written whole.
    func keep<Entry: LedgerEntry>(
        _ taken: SampleBasis?,
        after entry: Entry,
        written draft: LineDraft,
        _ mark: LedgerMark
    ) {
        guard let sample = entry as? LoadSample else { return }
        let kept = draft.isChange(at: mark.at) ? taken : SampleBasis(sample, mark, bytes: draft.maximumBytes)
        basis.withLock { $0 = kept }
    }
}
