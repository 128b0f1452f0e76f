// SPDX-License-Identifier: Apache-2.0
import Glibc
import HostOS
import Testing

@testable import Ledger

/// What operators of an NFS server met, and what the errors must tell them.
@Suite struct LedgerErrorTests {
    @Test func `an error of permissions names the option that an NFS export needs`() {
        let error = LedgerError.system("create the folder", "/srv/ek", code: EACCES)
        #expect(error.description.contains("no_root_squash"))
    }

    @Test(arguments: [
        LedgerError.lockTimedOut(path: "/srv/ek/orders.lock", waited: .seconds(10)),
        .stalled(path: "/srv/ek", waited: .seconds(30), mayBeWritten: true),
    ])
    func `an error of waiting names the lease of a host that crashed`(error: LedgerError) {
        #expect(error.description.contains("lease ends (90 s by default)"))
    }

    @Test func `a file whose delegation does not end is told from a storage that is busy`() {
        #expect(SafeFile.Reason.system(EWOULDBLOCK).text.contains("lease ends (90 s by default)"))
    }
}
