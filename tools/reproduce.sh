#!/bin/sh
# reproduce.sh: builds the release program of the last commit twice, in two folders, and compares.
#
# Paths of this machine are taken out of the program, so that the same commit, compiler and C compiler give the same bytes
# anywhere. The two are named beside the digest.
set -eu
cd "$(dirname "$0")/.."
work=$PWD/target/reproduce
rm -rf "$work"

build() { # FOLDER: prints the program's path
    mkdir -p "$1"
    git archive HEAD | tar -x -C "$1"
    flags="--remap-path-prefix=$1=/stockade --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    # Not what a user's environment adds: it would be another program.
    (cd "$1" && env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="$flags" CFLAGS="-ffile-prefix-map=$1=/stockade" \
        cargo build --quiet --release --locked --target-dir "$1/target")
    echo "$1/target/release/stockade"
}

one=$(build "$work/one")
other=$(build "$work/a-folder-with-a-longer-name/and-deeper")
digest=$(sha256sum <"$one" | cut -d' ' -f1)
echo "$digest  stockade, commit $(git rev-parse --short=12 HEAD), $(rustc --version), $(cc --version | head -n 1)"
if cmp "$one" "$other"; then
    echo "both builds are the same, byte for byte"
    rm -rf "$work"
else
    echo "the two builds differ: $one $other" >&2
    exit 1
fi
