// SPDX-License-Identifier: Apache-2.0

/// Output of swanctl 5.9.8 on real hosts.
enum Recordings {
    /// `--list-sas --pretty`, right after a rekeying of the child while data flowed.
    static let listSAs = """
        list-sa event {
          evenkeel-h2 {
            uniqueid = 6
            version = 2
            state = ESTABLISHED
            local-host = 10.77.9.1
            local-port = 4500
            local-id = h1
            remote-host = 10.77.9.2
            remote-port = 4500
            remote-id = h2
            initiator = yes
            initiator-spi = f9b45c5be81c73f3
            responder-spi = 28778d8b353a7043
            nat-remote = yes
            nat-any = yes
            encr-alg = AES_GCM_16
            encr-keysize = 256
            prf-alg = PRF_HMAC_SHA2_256
            dh-group = CURVE_25519
            established = 2
            rekey-time = 14100
            tasks-active = [
              CHILD_REKEY
            ]
            child-sas {
              evenkeel-h2-3 {
                name = evenkeel-h2
                uniqueid = 3
                reqid = 1
                state = DELETED
                mode = TUNNEL
                protocol = ESP
                encap = yes
                spi-in = 045b42cf
                spi-out = 52c426b3
                encr-alg = AES_GCM_16
                encr-keysize = 256
                dh-group = CURVE_25519
                bytes-in = 400808
                packets-in = 7500
                use-in = 1
                bytes-out = 26967900
                packets-out = 19268
                use-out = 1
                rekey-time = 3397
                life-time = 3958
                install-time = 2
                local-ts = [
                  10.78.9.1/32
                ]
                remote-ts = [
                  10.78.9.2/32
                ]
              }
              evenkeel-h2-4 {
                name = evenkeel-h2
                uniqueid = 4
                reqid = 1
                state = INSTALLED
                mode = TUNNEL
                protocol = ESP
                encap = yes
                spi-in = fa42b723
                spi-out = f369d76b
                encr-alg = AES_GCM_16
                encr-keysize = 256
                dh-group = CURVE_25519
                bytes-in = 2724376
                packets-in = 50927
                use-in = 0
                bytes-out = 31747800
                packets-out = 22677
                use-out = 0
                rekey-time = 3280
                life-time = 3959
                install-time = 1
                local-ts = [
                  10.78.9.1/32
                ]
                remote-ts = [
                  10.78.9.2/32
                ]
              }
            }
          }
        }
        list-sa event {
          branch-office {
            uniqueid = 7
            version = 2
            state = CONNECTING
            local-id = C=CH, O=strongSwan, CN=a = b {
            child-sas {
            }
          }
        }
        list-sas reply {
        }

        """

    /// The plugins in `--stats --pretty` of a charon with user-space ESP.
    static let stats = """
        stats reply {
          uptime {
            running = 10 minutes
            since = Nov 23 06:28:14 2026
          }
          plugins = [
            charon
            random
            openssl
            kernel-libipsec
            kernel-netlink
            socket-default
            vici
          ]
        }

        """

    static let noSocket = "connecting to 'unix:///tmp/none' failed: No such file or directory\n"
}
