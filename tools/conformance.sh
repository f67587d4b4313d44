#!/bin/sh
# conformance.sh PROGRAM: scores the program against results of a real Fail2Ban, where they lie beside the project.
# They are Fail2Ban's (GPL) and no part of this project; without them everything here is skipped, and said.
set -eu
program=$(realpath "${1:?usage: conformance.sh PROGRAM}")
corpus=$(dirname "$0")/../../shared/fail2ban/corpus
scores=$(realpath "$(dirname "$0")/..")/target/conformance.txt
if [ ! -f "$corpus/compare.py" ]; then
    echo "SKIPPED: the conformance corpus is not beside this project: filters, configuration, counting and dates were not compared"
    exit 0
fi
cd "$corpus"
failed=0
: > "$scores"
# score KIND GOLDENS COMMAND
score() {
    echo "== $1"
    python3 compare.py "$1" --cmd "$program fail2ban $3" -v --max-diffs 3 "$2" > "$scores.part" || failed=1
    tail -n 40 "$scores.part"
    { echo "$1: $(tail -n 1 "$scores.part")"; } >> "$scores"
}
score config public/config 'dump --json --etc {etc} {args}'
score dates public/dates 'dates'
score sequence public/sequences 'replay'
score lineseq public/lineseq 'replay --lines'
score regex public/filters 'regex --json --base {base} --filter {filter} --options {options} --tz {tz} --now {now} --journal {journal} -'
rm -f "$scores.part"
echo "== scores (target/conformance.txt)"
cat "$scores"
[ "$failed" = 0 ] || { echo "conformance: at least one result differs from Fail2Ban's" >&2; exit 1; }
