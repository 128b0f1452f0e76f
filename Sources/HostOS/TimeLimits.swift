// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Limit of a local command or a write to the disk that takes longer only if it hangs.
    ///
    /// A slow host is not a broken one: swanctl has taken over 5 s on a busy host with one CPU, where it otherwise takes
    /// 50 ms. A limit that bounds only a hang costs nothing if it is generous.
    public static let hangLimit: Duration = .seconds(30)
}
