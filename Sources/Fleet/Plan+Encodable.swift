// SPDX-License-Identifier: Apache-2.0

// For programs: each reason as its stable code and as text.

extension PlannedMove: Encodable {
    private enum CodingKeys: String, CodingKey {
        case vm, vmName, source, target, wave, purpose, code, reason, prediction, memoryBytes, seconds
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(vm, forKey: .vm)
        try container.encode(vmName, forKey: .vmName)
        try container.encode(source, forKey: .source)
        try container.encode(target, forKey: .target)
        try container.encode(wave, forKey: .wave)
        try container.encode(purpose, forKey: .purpose)
        try container.encode(reason.code, forKey: .code)
        try container.encode("\(reason)", forKey: .reason)
        try container.encode(prediction, forKey: .prediction)
        try container.encode(memoryBytes, forKey: .memoryBytes)
        try container.encode(seconds, forKey: .seconds)
    }
}

extension Refusal: Encodable {
    private enum CodingKeys: String, CodingKey { case host, vm, vmName, code, obstacles, reason }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(host, forKey: .host)
        try container.encodeIfPresent(vm, forKey: .vm)
        try container.encodeIfPresent(vmName, forKey: .vmName)
        try container.encode(reason.code, forKey: .code)
        let obstacles = reason.obstacleCodes
        if !obstacles.isEmpty { try container.encode(obstacles, forKey: .obstacles) }
        try container.encode("\(reason)", forKey: .reason)
    }
}

extension Shortage: Encodable {
    private enum CodingKeys: String, CodingKey { case hosts, hostCores, hostMemoryBytes, code, reason }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(hosts, forKey: .hosts)
        try container.encode(hostCores, forKey: .hostCores)
        try container.encode(hostMemoryBytes, forKey: .hostMemoryBytes)
        try container.encode(reason.code, forKey: .code)
        try container.encode("\(reason)", forKey: .reason)
    }
}
