// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The kernel's identity of a block device, which shows whether a path names the same device on two hosts.
enum BlockDevice {
    /// Returns the device mapper's uuid (LVM's contains those of volume group and volume), the WWID, or the serial
    /// number of the device at `path`; `nil` when it has none.
    static func identity(ofDeviceAt path: String, sys: String = "/sys") -> String? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else { return nil }
        // Like gnu_dev_major and gnu_dev_minor, which are macros.
        let device = UInt64(status.st_rdev)
        let major = (device >> 8) & 0xfff | (device >> 32) & ~0xfff
        let minor = device & 0xff | (device >> 12) & ~0xff
        let folder = "\(sys)/dev/block/\(major):\(minor)"
        for file in ["dm/uuid", "wwid", "device/wwid", "serial", "device/serial"] {
            guard let text = try? readText("\(folder)/\(file)") else { continue }
            let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            if !words.isEmpty { return "\(file) \(words)" }
        }
        return nil
    }
}
