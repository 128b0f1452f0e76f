// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Escort

struct MigrationStreamTests {
    @Test func `connections from the inner address to migration ports count, unless a service answers them`() throws {
        // The host's own services answer clients with such a port: ssh, here at 2222, and iSCSI.
        let sockets = """
            LISTEN 0      128    0.0.0.0:2222 0.0.0.0:*
            LISTEN 0      128    [::]:3260 [::]:*
            LISTEN 0      128    *:2379 *:*
            LISTEN 0      128    127.0.0.53%lo:53 0.0.0.0:*
            LISTEN 0      128    0.0.0.0%eth0:2380 0.0.0.0:*
            LISTEN 0      128    127.0.0.1:40000 0.0.0.0:*
            LISTEN 0      128    10.77.0.2:1030 0.0.0.0:*
            ESTAB 0      0      10.77.0.2:2222 10.77.0.1:49160
            ESTAB 0      0      [fd77::2]:3260 [fd77::1]:49161
            ESTAB 0      0      10.77.0.2:2379 10.77.0.1:49162
            ESTAB 0      0      10.77.0.2:1030 10.77.0.1:49163
            ESTAB 0      0      10.77.0.2%eth0:2380 10.77.0.1:49164
            TIME-WAIT 0      0      10.77.0.2:39999 10.77.0.1:49152
            ESTAB 0      0      10.77.0.2:40000 10.77.0.1:49152
            ESTAB 0      0      [::ffff:10.77.0.2]:40000 [::ffff:10.77.0.1]:49152
            SYN-SENT 0      1      [fd77::2]%eth0:40001 [fd77::1]%eth0:49153
            ESTAB 0      0      10.77.0.2:1023 10.77.0.1:49154
            ESTAB 0      0      10.77.0.2:1029 10.77.0.1:49155
            ESTAB 0      0      10.77.0.2:40002 10.77.0.1:49216
            ESTAB 0      0      10.77.0.9:40003 10.77.0.1:49156
            """
        func all(_ inner: String) throws -> Set<String> {
            let streams = MigrationStream.all(from: try #require(IPAddress(inner)), to: 49152...49215, ss: sockets)
            return Set(streams.map { "\($0.peer) \($0.port)" })
        }
        // A listener at another address with the source port of a migration does not hide it.
        #expect(try all("10.77.0.2") == ["10.77.0.1 49152", "10.77.0.1 49155"])
        #expect(try all("fd77::2") == ["fd77::1 49153"])
    }
}
