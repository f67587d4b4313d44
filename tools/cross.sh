#!/bin/sh
# cross.sh: whether the program compiles for arm64, where that can be found out; it says so when it cannot.
# The bundled SQLite needs a C compiler for the target, too.
set -eu
target=aarch64-unknown-linux-gnu
skip() { echo "SKIPPED: $1: nothing was compiled for arm64"; exit 0; }
rustup target list --installed 2>/dev/null | grep -qx "$target" || skip "rustup target add $target"
tools/need.sh "aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu libc6-dev-arm64-cross" \
    || skip "no C compiler for arm64"
cargo check --locked --target "$target"
