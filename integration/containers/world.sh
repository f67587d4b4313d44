# A mail server, an attacker with many addresses, somebody who does no harm; on a network of their own.
server=10.88.0.2 server6=fd88::2
friend=10.88.0.10
jails='dovecot postfix'

world_up() {
    # Names are answered by nobody, at once: Postfix asks for one at each connection, and the engine would let it wait.
    echo 'nameserver 127.0.0.1' >"$run/resolv.conf"
    $docker network inspect stockade >/dev/null 2>&1 \
        || $docker network create --ipv6 --subnet 10.88.0.0/24 --subnet fd88::/64 stockade >/dev/null
    local name last
    for name in attacker:66 friend:10; do
        last=${name#*:}
        $docker run --detach --name "${name%:*}" --network stockade --ip "10.88.0.$last" --ip6 "fd88::$last" --cap-add NET_ADMIN \
            --volume "$here/attack.py:/usr/local/bin/attack.py:ro" "$mail" sleep infinity >/dev/null
    done
    world_addresses
    options=()
}

world_addresses() {
    $docker exec attacker sh -c 'for last in $(seq 100 140); do
        ip addr add "10.88.0.$last/24" dev eth0; ip addr add "fd88::$last/64" dev eth0 nodad; done'
}

world_down() {
    $docker rm --force --volumes attacker friend mailserver >/dev/null 2>&1 || true
    $docker volume ls --quiet | xargs --no-run-if-empty $docker volume rm >/dev/null 2>&1 || true
}

# mailserver [OPTION…]: a new mail server with these options of `docker run`; waits until mail and bans work.
mailserver() {
    $docker rm --force --volumes mailserver >/dev/null 2>&1 || true
    $docker run --detach --name mailserver --hostname mail --network stockade --ip "$server" --ip6 "$server6" \
        --volume "$run/resolv.conf:/etc/resolv.conf:ro" --stop-timeout 60 "$@" "$mail" >/dev/null
    ready
}

ready() {
    within 90 pings && within 60 logs_in imap && within 60 logs_in submission && return
    fail "mail server and server of bans come up" "$(inside sh -c \
        'supervisorctl status; tail -n 30 /var/log/supervisor/fail2ban.log /var/log/mail/fail2ban.log')"
    return 1
}

# logs_in SERVICE: from inside, so that what fails while the mail server comes up is counted against nobody.
logs_in() { [ "$(inside python3 - 127.0.0.1 127.0.0.1 "$1" 1 goodpass <"$here/attack.py")" = accepted ]; }

# within_container NAME COMMAND…: in the container's namespaces, through the engine's. `docker exec` does the same and costs
# a quarter of a second of work each time; what a user types is tried with it.
within_container() {
    local pid
    pid=$($docker inspect --format '{{.State.Pid}}' "$1") || return 1
    shift
    nsenter --target "$engine_init" --mount --pid nsenter --target "$pid" --mount --net --ipc --uts --pid "$@"
}

# inside COMMAND…: in the mail server's container.
inside() { within_container mailserver "$@"; }
typed() { $docker exec mailserver "$@"; }
client() { inside fail2ban-client "$@"; }
pings() { [ "$(client ping 2>/dev/null)" = 'Server replied: pong' ]; }
running() { inside supervisorctl status fail2ban | grep -q RUNNING; }

# attempts FROM SERVICE TIMES: one word for each login tried, wrong ones unless it is the friend's: `refused` (a wrong
# password, says the server), `accepted`, `shut` (no connection). IPv6 addresses go to the server's.
attempts() {
    local from=attacker to=$server
    [ "$1" != "$friend" ] || from=friend
    case $1 in *:*) to=$server6 ;; esac
    within_container "$from" python3 /usr/local/bin/attack.py "$to" "$1" "$2" "$3" "${4:-wrong}"
}

# tries FROM SERVICE TIMES WORD: every attempt ends in WORD; the friend knows the password.
tries() {
    local password=wrong
    [ "$4" != accepted ] || password=goodpass
    [ "$(attempts "$1" "$2" "$3" "$password" | sort -u)" = "$4" ]
}

# found JAIL ADDRESS: how many failures the log tells of.
found() { inside sh -c "cat /var/log/mail/fail2ban.log* 2>/dev/null" | grep -c "\[$1\] Found $2\b" || true; }
found_are() { [ "$(found "$1" "$2")" -ge "$3" ]; }

banned() { client status "$1" | sed -n 's/.*Banned IP list:\t//p'; }
is_banned() { banned "$1" | tr ' ' '\n' | grep -qxF "$2"; }
is_free() { ! is_banned "$1" "$2"; }
elements() { inside nft list set inet f2b-table "$1" | tr -d '\n' | sed -n 's/.*elements = { \(.*\) }.*/\1/p' | tr -s '\t ' ' '; }
# The engine keeps a table of its own in each container.
no_table() { ! inside nft list table inet f2b-table; }
