// SPDX-License-Identifier: Apache-2.0
import Crypto
import Fleet
import Foundation
import Hypervisor

/// What this host's agent, as the target of sealed orders, has in its memory and nowhere else.
///
/// With the agent the keys are gone, and nothing that was encrypted for them can be read any more.
actor SealedKeys {
    private var keys: [OrderID: Curve25519.KeyAgreement.PrivateKey] = [:]
    private var opened: [OrderID: SavedVM] = [:]

    /// Makes an order's key, and returns the public half in base 64.
    func make(for order: OrderID) -> String {
        let key = Curve25519.KeyAgreement.PrivateKey()
        keys[order] = key
        return key.publicKey.rawRepresentation.base64EncodedString()
    }

    func key(for order: OrderID) -> Curve25519.KeyAgreement.PrivateKey? { keys[order] }

    /// The image lies open here; its key has done its work.
    func keep(_ saved: SavedVM, for order: OrderID) {
        keys[order] = nil
        opened[order] = saved
    }

    /// Hands it out once: nothing is restored twice.
    func take(_ order: OrderID) -> SavedVM? { opened.removeValue(forKey: order) }

    func forget(_ order: OrderID) {
        keys[order] = nil
        opened[order] = nil
    }
}
