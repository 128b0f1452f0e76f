// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI

@main
struct Program {
    static func main() async { await Evenkeel.main() }
}
