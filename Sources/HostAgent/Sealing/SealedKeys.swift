// SPDX-License-Identifier: Apache-2.0
import Crypto
import Fleet
import Foundation
import Hypervisor

/// The keys and opened images of sealed orders at their target, kept only in the agent's memory.
///
/// When the agent ends, the keys are lost, and nothing that was encrypted for them can be read.
actor SealedKeys {
    private var keys: [OrderID: Curve25519.KeyAgreement.PrivateKey] = [:]
    private var opened: [OrderID: SavedVM] = [:]

    /// Makes an order's key pair, and returns the public key in Base64.
    func make(for order: OrderID) -> String {
        let key = Curve25519.KeyAgreement.PrivateKey()
        keys[order] = key
        return key.publicKey.rawRepresentation.base64EncodedString()
    }

    func key(for order: OrderID) -> Curve25519.KeyAgreement.PrivateKey? { keys[order] }

    /// Records an opened image; deletes its key, which is no longer needed.
    func keep(_ saved: SavedVM, for order: OrderID) {
        keys[order] = nil
        opened[order] = saved
    }

    /// Returns the opened image once: nothing is restored twice.
    func take(_ order: OrderID) -> SavedVM? { opened.removeValue(forKey: order) }

    func forget(_ order: OrderID) {
        keys[order] = nil
        opened[order] = nil
    }
}
