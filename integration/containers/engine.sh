# A container engine of its own, in its own network, mount and process namespace: when its first process ends, all its
# containers, bridges and rules are gone, and this host has never seen one of them.
docker=/usr/bin/docker
run='' engine_pid='' engine_init=''

# What is missing is installed where that can be done; else the stories cannot be told here, and that is said.
engine_up() {
    local lacking
    if ! lacking=$(engine_needs); then
        if [ "${CONTAINERS:-}" = required ]; then
            echo "containers: $lacking" >&2
            exit 1
        fi
        echo "SKIPPED: $lacking: nothing was tried in containers" >&2
        exit 0
    fi
    engine_start
}

engine_needs() {
    [ "$(id -u)" = 0 ] || { echo "needs root"; return 1; }
    command -v apt-get >/dev/null || { echo "needs Debian's packages"; return 1; }
    engine_packages >&2 || { echo "the packages docker.io, docker-compose and mmdebstrap cannot be installed"; return 1; }
    unshare --net --mount --pid --fork true 2>/dev/null || { echo "needs a kernel that gives namespaces"; return 1; }
    if [ ! -d /sys/fs/cgroup/devices ] && [ ! -f /sys/fs/cgroup/cgroup.controllers ]; then
        echo "no cgroups are mounted"
        return 1
    fi
}

engine_packages() {
    local missing=() package
    for package in docker.io docker-compose mmdebstrap iproute2 util-linux; do
        dpkg --status "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "installing ${missing[*]}"
    # The engine that the package would start is not wanted.
    local policy=''
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    fi
    local code=0
    apt-get update -qq >/dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null || code=1
    [ -z "$policy" ] || rm -f "$policy"
    return "$code"
}

engine_start() {
    run=$(mktemp -d /tmp/stockade-containers.XXXXXX)
    rm -rf "$keep/data"
    mkdir -p "$keep/data"
    export DOCKER_HOST=unix://$run/docker.sock DOCKER_CONFIG=$run/config DOCKER_BUILDKIT=1
    # Forwarding is set before the engine looks: it would otherwise set it and forbid all that it does not know.
    # shellcheck disable=SC2016
    setsid unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '
        ip link set lo up
        echo 1 >/proc/sys/net/ipv4/ip_forward
        trap "kill -TERM \$engine" TERM
        while :; do
            dockerd --data-root "$1/data" --exec-root "$2/run" --host "unix://$2/docker.sock" --pidfile "$2/dockerd.pid" \
                --bridge none --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent stockade-containers &
            engine=$!
            wait "$engine"
            [ -e "$2/again" ] || break
            rm "$2/again"
        done
        wait "$engine"' \
        - "$keep" "$run" >"$run/engine.log" 2>&1 </dev/null &
    engine_pid=$!
    if ! within 180 $docker info; then
        tail -n 20 "$run/engine.log" >&2
        echo "containers: the engine does not come up" >&2
        exit 1
    fi
    engine_init=$(pgrep --parent "$engine_pid")
    step "$($docker info --format 'engine {{.ServerVersion}}, {{.Driver}}, cgroup v{{.CgroupVersion}}')"
}

# Ends the engine, with its containers, and starts another in the same namespaces.
engine_restart() {
    local before
    before=$(pgrep --parent "$engine_init" dockerd)
    touch "$run/again"
    kill -TERM "$before"
    within 90 gone "$before" && within 180 $docker info
}

# on_host COMMAND…: in the engine's network, as on a host.
on_host() { nsenter --target "$engine_init" --net "$@"; }

gone() { ! kill -0 "$1" 2>/dev/null; }

engine_down() {
    [ -n "$engine_pid" ] || return 0
    # Asked first, so that what it mounted and counted is given back; then its namespaces end.
    timeout 20 $docker ps --all --quiet | xargs --no-run-if-empty timeout 20 $docker rm --force --volumes >/dev/null 2>&1 || true
    [ -z "$engine_init" ] || kill -TERM "$engine_init" 2>/dev/null || true
    within 20 gone "$engine_pid" || kill -KILL "$engine_pid"
    wait "$engine_pid" 2>/dev/null || true
    find /sys/fs/cgroup -depth -type d -path '*stockade-containers*' -exec rmdir {} + 2>/dev/null || true
    rm -rf "$keep/data" "$run"
    engine_pid=''
}
