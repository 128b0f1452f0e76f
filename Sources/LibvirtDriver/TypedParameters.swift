// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt

/// Reads libvirt's typed parameters without owning them.
///
/// A parameter that is missing or has another type is `nil`.
struct TypedParameters {
    let pointer: virTypedParameterPtr?
    let count: Int32

    func unsignedLong(_ name: String) -> UInt64? {
        var value: UInt64 = 0
        return virTypedParamsGetULLong(pointer, count, name, &value) == 1 ? value : nil
    }

    func unsigned(_ name: String) -> UInt32? {
        var value: UInt32 = 0
        return virTypedParamsGetUInt(pointer, count, name, &value) == 1 ? value : nil
    }

    func int(_ name: String) -> Int32? {
        var value: Int32 = 0
        return virTypedParamsGetInt(pointer, count, name, &value) == 1 ? value : nil
    }
}

/// Typed parameters that this value allocates and frees.
struct OwnedParameters: ~Copyable {
    private(set) var pointer: virTypedParameterPtr?
    private(set) var count: Int32 = 0
    private var capacity: Int32 = 0

    mutating func add(_ name: String, _ value: String) throws(LibvirtError) {
        guard virTypedParamsAddString(&pointer, &count, &capacity, name, value) == 0 else {
            throw .last(in: "virTypedParamsAddString")
        }
    }

    mutating func add(_ name: String, _ value: Int32) throws(LibvirtError) {
        guard virTypedParamsAddInt(&pointer, &count, &capacity, name, value) == 0 else {
            throw .last(in: "virTypedParamsAddInt")
        }
    }

    deinit { virTypedParamsFree(pointer, count) }
}
