// SPDX-License-Identifier: Apache-2.0
internal import Foundation

extension Settings {
    /// Where the configuration is looked for when nothing else is said.
    public static let defaultFile = "/etc/evenkeel/evenkeel.yaml"

    /// The configuration of this process: `flags` over its environment over the file over the defaults.
    ///
    /// The file is the one given, else the one `EVENKEEL_CONFIG` names, else `defaultFile` where that exists.
    public static func ofThisProcess(file: String?, flags: [String]) throws(SettingsError) -> Settings {
        let environment = ProcessInfo.processInfo.environment
        let wanted = file ?? environment[configurationVariable]
        guard wanted != nil || FileManager.default.fileExists(atPath: defaultFile) else {
            return try load(file: nil, environment: environment, flags: flags)
        }
        let path = wanted ?? defaultFile
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw SettingsError(origin: path, key: "", reason: "cannot read the file: \(error.localizedDescription)")
        }
        return try load(file: (path, text), environment: environment, flags: flags)
    }
}
