// SPDX-License-Identifier: Apache-2.0

extension PKIFolders {
    /// The group ffdhe3072 of RFC 7919, appendix A.2, as `openssl genpkey -genparam -algorithm DH -pkeyopt
    /// group:ffdhe3072` prints it.
    ///
    /// Without this file QEMU before 10.2 searches for a prime of 2048 bits whenever it loads its credentials as a server
    /// (`gnutls_dh_params_generate2` in crypto/tlscreds.c). This takes from 0.1 s to seconds of CPU time at the target of
    /// each move, and TLS 1.3 never uses the result. Later versions need no file, and log that once.
    static let diffieHellmanGroup = """
        -----BEGIN DH PARAMETERS-----
        MIIBiAKCAYEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
        +8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
        87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
        YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
        7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
        ssbzSibBsu/6iGtCOGEfz9zeNVs7ZRkDW7w09N75nAI4YbRvydbmyQd62R0mkff3
        7lmMsPrBhtkcrv4TCYUTknC0EwyTvEN5RPT9RFLi103TZPLiHnH1S/9croKrnJ32
        nuhtK8UiNjoNq8Uhl5sN6todv5pC1cRITgq80Gv6U93vPBsg7j/VnXwl5B0rZsYu
        N///////////AgEC
        -----END DH PARAMETERS-----

        """
}
