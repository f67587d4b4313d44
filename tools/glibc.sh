#!/bin/sh
# glibc.sh PROGRAM: fails if the program asks for a newer C library than Debian 12's.
set -eu
newest=2.36
wants=$(objdump -T "${1:?usage: glibc.sh PROGRAM}" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)
[ "$(printf '%s\n' "$newest" "$wants" | sort -V | tail -n 1)" = "$newest" ] || {
    echo "glibc: $1 needs $wants; Debian 12 has $newest" >&2
    exit 1
}
echo "glibc: $1 needs $wants; Debian 12 has $newest"
