#!/usr/bin/env bash
# Stockade in containers, as docker-mailserver's users meet it: a real Postfix and Dovecot, real wrong logins, real packets.
#
#   run.sh PROGRAM [STORY…]       each story is a file in stories/; all of them without one
#
# Environment:
#   CONTAINERS=required   no engine is a failure; otherwise it is said and skipped
#   SUITES="bookworm trixie"   Debian's releases to try: Dovecot 2.3 and 2.4
#   SERVER=python         the same questions to Debian's Fail2Ban, to see what they are worth
#   KEEP=1                leaves engine and containers up, and says how to reach them
# Everything made lies in target/containers and one folder in /tmp; the engine runs in namespaces of its own, so that no
# rule, address or setting of this host is touched. What is kept are the base images' archives, for the next time.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
program=$(realpath "${1:?usage: run.sh PROGRAM [STORY…]}")
shift
project=$(realpath "$here/../..")
keep=$project/target/containers
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$keep"
exec 9>"$keep/lock"
flock --nonblock 9 || { echo "containers: another run uses $keep" >&2; exit 1; }
for part in lab engine images world; do . "$here/$part.sh"; done

stories=("$@")
[ $# -gt 0 ] || for file in "$here"/stories/*.sh; do stories+=("$(basename "$file" .sh)"); done

trap 'exit 130' INT TERM HUP
trap leave EXIT
leave() {
    local code=$?
    if [ "${KEEP:-}" = 1 ] && [ -n "${engine_pid:-}" ]; then
        step "left up: DOCKER_HOST=$DOCKER_HOST; end it by: kill -KILL $engine_pid; rm -rf $keep/data $run"
    else
        engine_down
    fi
    exit "$code"
}

engine_up
for suite in ${SUITES:-bookworm trixie}; do
    image "$suite"
    world_up
    for story in "${stories[@]}"; do tell "$story"; done
    world_down
done
verdict
