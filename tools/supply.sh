#!/bin/sh
# supply.sh check|audit|sbom: where the dependencies come from, under which licences, with which known holes.
#
#   check   licences, banned and wildcard versions, sources (deny.toml); advisories where their database can be fetched,
#           else that is said and is no failure
#   audit   the same, but advisories must have been checked
#   sbom    target/stockade.cdx.json: every crate of the program with version, licence and checksum (CycloneDX)
#
# cargo-deny and cargo-cyclonedx are built into target/tools, once, if they are not installed.
set -eu
cd "$(dirname "$0")/.."
DENY=0.20.2
CYCLONEDX=0.5.9
PATH=$PWD/target/tools/bin:$PATH
export PATH

tool() { # NAME VERSION
    command -v "$1" >/dev/null 2>&1 && return
    echo "building $1 $2 (once)"
    cargo install --quiet --locked --root target/tools --target-dir target/tools/build "$1@$2"
    rm -rf target/tools/build
}

deny() {
    tool cargo-deny "$DENY"
    cargo deny --locked --log-level error check --hide-inclusion-graph licenses bans sources
}

advisories() {
    # The database is one repository; without it the check fails as if something were wrong.
    if cargo deny --log-level error fetch db >target/advisories.txt 2>&1; then
        cargo deny --locked --log-level error check --disable-fetch --hide-inclusion-graph advisories
    elif [ "$1" = must ]; then
        cat target/advisories.txt >&2
        echo "advisories: their database could not be fetched" >&2
        exit 2
    else
        echo "advisories: not checked (offline); \`make audit\` where there is a network"
    fi
}

case "${1-}" in
check) deny; advisories may ;;
audit) deny; advisories must ;;
sbom)
    tool cargo-cyclonedx "$CYCLONEDX"
    cargo cyclonedx --quiet --format json --target all --override-filename stockade.cdx
    mv stockade.cdx.json target/
    echo "target/stockade.cdx.json: $(grep -c '"bom-ref"' target/stockade.cdx.json) entries"
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2 ;;
esac
