// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the kernel says a block device is, so that two hosts can tell whether a path names the same device on both.
enum BlockDevice {
    /// The device mapper's uuid (LVM's has the volume group's and the volume's in it), the WWID, or the serial number of
    /// the device at `path`; `nil` when it has none.
    static func identity(ofDeviceAt path: String, sys: String = "/sys") -> String? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else { return nil }
        // As gnu_dev_major and gnu_dev_minor, which are macros.
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
