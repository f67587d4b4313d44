# Stockade on the engine's host, and a published port: bans hold when the container restarts, when the engine writes its rules
# anew, and when the engine itself restarts.
story_engine() {
    local host=$run/host outside
    mkdir -p "$host/etc/jails.d"
    printf '[jail.web]\nenabled = true\nlogs = []\nports = [80]\nhooks = ["input", "forward"]\n' >"$host/etc/jails.d/web.toml"
    $docker run --detach --name web --restart always --network stockade --publish 8080:80 "$mail" \
        python3 -c 'import socket
s = socket.create_server(("", 80))
while True:
    c = s.accept()[0]; c.sendall(b"hello"); c.close()' >/dev/null
    # Somebody outside, behind a cable of the host.
    nsenter --target "$engine_init" --net unshare --net sleep infinity &
    outside=$!
    within 10 is_apart "$outside"
    on_host ip link add outside type veth peer name cable
    on_host ip link set cable netns "$outside"
    on_host ip address add 198.51.100.1/24 dev outside
    on_host ip link set outside up
    nsenter --target "$outside" --net sh -c 'ip address add 198.51.100.66/24 dev cable; ip address add 198.51.100.77/24 dev cable
        ip link set cable up'
    comes 'the published port is reached from outside' 30 reaches 198.51.100.66
    on_host_stockade run >"$host/log" 2>&1 &
    holds 'stockade runs beside the engine' within 30 on_host_stockade status
    # It answers before it is ready.
    holds 'a ban' within 30 on_host_stockade ban 198.51.100.66 --jail web
    stays_shut 'banned'

    $docker restart --time 1 web >/dev/null
    stays_shut 'the container restarted'
    # The engine writes chains and rules for it, and takes them away.
    $docker network create other >/dev/null
    $docker network rm other >/dev/null
    stays_shut 'a network came and went'
    holds 'the engine restarts' engine_restart
    stays_shut 'the engine restarted'
    on_host sh -c 'iptables -F; iptables -X; iptables -t nat -F; iptables -P FORWARD ACCEPT' >/dev/null 2>&1
    holds 'its rules are flushed by hand, it restarts' engine_restart
    stays_shut 'and wrote its rules anew'
    equal 'nothing of ours was touched' "$(on_host_stockade status --json | python3 -c \
        'import json, sys; drifts = json.load(sys.stdin)["status"]["drifts"]; print(drifts["seen"], drifts["healed"])')" '0 0'

    # Its bans would outlive it.
    holds 'unban --all' on_host_stockade unban --all
    on_host_stockade stop >/dev/null
    rm -rf "$host"
    kill -TERM "$outside"
    $docker rm --force web >/dev/null
    $docker start attacker friend >/dev/null
    world_addresses
}

# Whether a process has a network of its own by now.
is_apart() {
    local own
    own=$(readlink "/proc/$1/ns/net") && [ "$own" != "$(readlink /proc/self/ns/net)" ] \
        && [ "$own" != "$(readlink "/proc/$engine_init/ns/net")" ]
}

# The program on the engine's host, with a folder of its own.
on_host_stockade() {
    on_host env "STOCKADE_DAEMON__SOCKET=$run/host/socket" "STOCKADE_DAEMON__PID_FILE=$run/host/pid" \
        "STOCKADE_DAEMON__STORE=$run/host/store" "$program" "$@" --etc "$run/host/etc"
}

# reaches FROM: whether the container says hello.
reaches() {
    nsenter --target "$outside" --net python3 -c 'import socket, sys
s = socket.create_connection(("198.51.100.1", 8080), 2, (sys.argv[1], 0))
sys.exit(s.recv(9) != b"hello")' "$1"
}

# stays_shut WHEN
stays_shut() {
    comes "$1: another client reaches the container" 60 reaches 198.51.100.77
    if reaches 198.51.100.66 2>/dev/null; then fail "$1: who is banned does, too"; else pass "$1: who is banned does not"; fi
}
