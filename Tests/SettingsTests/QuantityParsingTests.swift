// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

struct QuantityParsingTests {
    @Test(arguments: [
        ("1ms", 1), ("300ms", 300), ("5", 5000), ("0.3", 300), ("5s", 5000), ("1.5s", 1500), ("1min", 60_000),
        ("10m", 600_000), ("1h", 3_600_000), ("0.5h", 1_800_000), ("48h", 172_800_000),
    ])
    func `every unit of a duration is accepted`(text: String, milliseconds: Int) throws {
        #expect(try parseDuration(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "s", "0", "0s", "-5s", "0.0001s", "5d", "5 s", "nan", "infs", "1e300h", "5S"])
    func `an invalid duration is rejected`(text: String) {
        let error = #expect(throws: ValueError.self) { try parseDuration(text) }
        #expect(error?.reason == "'\(text)' is not a duration above zero, such as 300ms, 5s, 10min or 1h")
    }

    @Test(
        arguments: [
            ("1B", 1), ("4096B", 4096), ("3KiB", 3 << 10), ("3K", 3 << 10), ("512MiB", 512 << 20), ("512M", 512 << 20),
            ("1.5GiB", 3 << 29), ("4G", 4 << 30), ("2TiB", 2 << 40), ("2T", 2 << 40),
            // Exact above the 53 bits of a Double.
            ("9007199254740993B", 9_007_199_254_740_993), ("18446744073709551615B", .max),
        ] as [(String, UInt64)]
    )
    func `every unit of a size is accepted`(text: String, bytes: UInt64) throws {
        #expect(try parseSize(text) == bytes)
    }

    @Test(arguments: [
        "", "4", "B", "0B", "0MiB", "0.5B", "-1GiB", "4 G", "4GB", "nanG", "infT", "18446744073709551616B",
        "16777216TiB",
    ])
    func `an invalid size is rejected`(text: String) {
        let error = #expect(throws: ValueError.self) { try parseSize(text) }
        #expect(error?.reason == "'\(text)' is not a size above zero, such as 512M, 4G or 16MiB")
    }

    @Test(arguments: [("80%", 0.8), ("0.8", 0.8), ("55%", 0.55), ("100%", 1), ("0.5%", 0.005)])
    func `a share is a number or a percentage`(text: String, share: Double) throws {
        #expect(try parseShare(text) == share)
    }

    @Test(arguments: ["", "%", "0", "0%", "-1%", "101%", "1.01", "nan", "inf", "80 %", "1x"])
    func `an invalid share is rejected`(text: String) {
        let error = #expect(throws: ValueError.self) { try parseShare(text) }
        #expect(error?.reason == "'\(text)' is not a share above 0 and up to 1, such as 80% or 0.8")
    }

    @Test func `flags have their own limits`() throws {
        #expect(try parseDuration("24h", upTo: .seconds(86_400)) == .seconds(86_400))
        #expect(try parseSize("1024TiB", upTo: 1 << 50) == 1 << 50)
        #expect(try parseShare("120%", upTo: 10) == 1.2)
        let duration = #expect(throws: ValueError.self) { try parseDuration("25h", upTo: .seconds(86_400)) }
        #expect(duration?.reason == "'25h' exceeds the limit of 24h")
        let size = #expect(throws: ValueError.self) { try parseSize("1025TiB", upTo: 1 << 50) }
        #expect(size?.reason == "'1025TiB' exceeds the limit of 1024TiB")
        let share = #expect(throws: ValueError.self) { try parseShare("1001%", upTo: 10) }
        #expect(share?.reason == "'1001%' is not a share above 0 and up to 10, such as 80% or 0.8")
    }

    @Test(arguments: [
        ("sampling.interval=5", "sampling.interval=5s"), ("policy.cooldown=10m", "policy.cooldown=10min"),
        ("ledger.segment_size=16M", "ledger.segment_size=16MiB"),
        ("ledger.segment_size=1.5MiB", "ledger.segment_size=1536KiB"),
        ("ledger.segment_size=1T", "ledger.segment_size=1024GiB"),
    ])
    func `configuration files accept the units of flags`(short: String, long: String) throws {
        let settings = try Settings.load(file: nil, flags: [short])
        #expect(try settings == Settings.load(file: nil, flags: [long]))
        #expect(try Settings.load(file: ("documented", settings.documentedFile())) == settings)
    }
}
