// SPDX-License-Identifier: Apache-2.0

/// The script that the guests' definitions name as their emulator; it executes QEMU.
struct EmulatorScript {
    let cgroups: Cgroups

    /// The text of the script, which changes two things.
    ///
    /// libvirtd starts QEMU in its own group; the script moves itself to its host's group for machines. Moving QEMU
    /// afterwards would race with the arrival of a migration.
    ///
    /// Under software emulation, QEMU before 8.2.2 loses writes of a guest that is being migrated. If the size of a
    /// memory block is a multiple of 64 pages, QEMU clears the dirty bits by whole words and ignores that emulated
    /// stores use a cache of translations ("physmem: Fix migration dirty bitmap coherency with TCG memory access"). One
    /// move in ten ended with a crashed or hung guest. libvirt rounds memory to whole MiB, so the script adds 8 KiB,
    /// which selects QEMU's correct code path. KVM and real hosts are not affected.
    var text: String {
        let moves = cgroups.procsFiles("$(hostname)/machines").map { "echo $$ > \($0)" }
        return """
            #!/bin/sh
            \(moves.joined(separator: "\n"))
            left=$#
            before=
            case " $* " in *" -accel tcg"*) emulated=1 ;; *) emulated= ;; esac
            while [ "$left" -gt 0 ]; do
                word=$1
                shift
                new=$word
                if [ "$emulated" ]; then
                    case $before in
                    -m)
                        case $word in
                        size=*k) new=${word#size=}; new=size=$((${new%k} + 8))k ;;
                        *[!0-9]*) ;;
                        *) new=$((word * 1024 + 8))k ;;
                        esac ;;
                    -object)
                        case $word in
                        *'"memory-backend-ram"'*'"size":'*)
                            rest=${word#*'"size":'}
                            size=${rest%%[!0-9]*}
                            new=${word%%'"size":'*}'"size":'$((size + 8192))${rest#"$size"} ;;
                        esac ;;
                    esac
                fi
                set -- "$@" "$new"
                before=$word
                left=$((left - 1))
            done
            exec /usr/bin/qemu-system-x86_64 "$@"

            """
    }
}
