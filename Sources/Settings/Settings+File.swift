// SPDX-License-Identifier: Apache-2.0
internal import Foundation

extension Settings {
    /// The default path of the configuration.
    public static let defaultFile = "/etc/evenkeel/evenkeel.yaml"

    /// Returns the configuration of this process: flags override the environment, the file and the defaults.
    ///
    /// The file is `file`, else the value of `EVENKEEL_CONFIG`, else `defaultFile` if that exists.
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
