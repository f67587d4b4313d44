#!/bin/sh
# fuzz.sh SECONDS [TARGET…]: runs each coverage-guided target of fuzz/ for so long, one after another.
#
# What a run finds new is kept in target/fuzz/corpus/TARGET, what fails in target/fuzz/artifacts/TARGET.
# `fuzz.sh keep` replaces fuzz/corpus by the smallest part of all that which reaches as much.
# cargo-fuzz is built into target/tools, once, if it is not installed.
set -eu
cd "$(dirname "$0")/.."
FUZZ=0.13.2
PATH=$PWD/target/tools/bin:$PATH
export PATH
ALL="line date ini toml pickle control netlink database logins"

tool() {
    command -v cargo-fuzz >/dev/null 2>&1 && return
    echo "building cargo-fuzz $FUZZ (once)"
    cargo install --quiet --locked --root target/tools --target-dir target/tools/build "cargo-fuzz@$FUZZ"
    rm -rf target/tools/build
}

# The stable toolchain has coverage, but no sanitizer: memory is Rust's affair here, and SQLite's.
fuzz() { # COMMAND TARGET ARGUMENTS…
    command=$1 target=$2
    shift 2
    cargo fuzz "$command" --sanitizer none --target-dir target/fuzz/build "$target" "$@"
}

case "${1-}" in
keep)
    tool
    for target in $ALL; do
        mkdir -p "target/fuzz/corpus/$target" "target/fuzz/kept/$target"
        rm -f "target/fuzz/kept/$target"/*
        fuzz run "$target" -- -merge=1 -max_len=4096 \
            "$PWD/target/fuzz/kept/$target" "$PWD/fuzz/corpus/$target" "$PWD/target/fuzz/corpus/$target" 2>&1 | tail -1
        rm -f "fuzz/corpus/$target"/*
        cp "target/fuzz/kept/$target"/* "fuzz/corpus/$target/"
    done
    ;;
[0-9]*)
    seconds=$1
    shift
    tool
    failed=
    for target in ${*:-$ALL}; do
        corpus=$PWD/target/fuzz/corpus/$target artifacts=$PWD/target/fuzz/artifacts/$target/
        log=target/fuzz/$target.log
        mkdir -p "$corpus" "$artifacts"
        fuzz build "$target" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
        if fuzz run "$target" "$corpus" "$PWD/fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=4096 \
            -timeout=20 -rss_limit_mb=512 -malloc_limit_mb=128 -print_final_stats=1 \
            -artifact_prefix="$artifacts" >"$log" 2>&1
        then
            awk -v name="$target" '
                /stat::number_of_executed_units/ { runs = $2 }
                /stat::peak_rss_mb/ { peak = $2 }
                / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") reached = $(i + 1) }
                END { printf "fuzz %-9s %10d inputs, %6d places reached, %4d MiB at most\n", name, runs, reached, peak }
            ' "$log"
        else
            failed="$failed $target"
            tail -n 40 "$log" >&2
            echo "fuzz $target: failed; all of it is in $log, the input in $artifacts" >&2
        fi
    done
    [ -z "$failed" ] || exit 1
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2 ;;
esac
