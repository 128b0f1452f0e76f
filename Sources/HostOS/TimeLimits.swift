// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Limit of a local command or a write to the disk that takes longer only if it hangs.
    ///
    /// A slow host is not a broken one: on a busy host, a command can take a hundred times as long as usual
    /// (docs/measurements.md, strongSwan). A limit that bounds only a hang costs nothing if it is generous.
    public static let hangLimit: Duration = .seconds(30)
}
