#!/usr/bin/env bash
# Watch Stockade work: a victim, attackers, a well-behaved client; real log lines, real nftables rules.
# Everything happens in network namespaces made here: no rule and no address of this host is touched.
set -euo pipefail
program=$(realpath "${1:?usage: run.sh PROGRAM}")
here=$(dirname "$(realpath "$0")")

if [ "${2:-}" != inside ]; then
    user=()
    [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
    if ! unshare "${user[@]}" --net --mount true 2>/dev/null; then
        echo "first-look: needs root, or a kernel that lets users make namespaces (sysctl kernel.unprivileged_userns_clone=1)" >&2
        exit 2
    fi
    exec unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$program" inside
fi

bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
[ -t 1 ] || bold='' dim='' plain=''
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { printf 'first-look: %s\n' "$*" >&2; sed 's/^/  /' "$work/stockade.log" >&2; exit 1; }

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
mkdir -p "$work/etc/jails.d" "$work/logs"
cp "$here/stockade.toml" "$work/etc/"
cp "$here"/jails.d/*.toml "$work/etc/jails.d/"
sed -i "s#/var/log#$work/logs#" "$work"/etc/jails.d/*.toml
touch "$work/logs/auth.log" "$work/logs/mail.log"
cd "$work"

# The victim is this namespace; everybody else lives behind a cable.
unshare --net sleep infinity & outside=$!
ip link set lo up
ip link add victim type veth peer name world
until [ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set world netns $outside
ip address add 192.0.2.1/24 dev victim; ip address add 2001:db8::1/64 dev victim nodad; ip link set victim up
world() { nsenter --target $outside --net -- "$@"; }
world ip link set lo up; world ip link set world up
for last in 10 66 77 88; do world ip address add 192.0.2.$last/24 dev world; done
world ip address add 2001:db8::bad/64 dev world nodad

for port in 22 25 993; do
    socat -u "TCP6-LISTEN:$port,fork,reuseaddr,ipv6only=0" OPEN:/dev/null & done

client=192.0.2.10 ssh=192.0.2.66 mail=192.0.2.77 imap=192.0.2.88 six=2001:db8::bad
# Whether a connection from this address to this port of the victim works.
reaches() {
    local to=192.0.2.1 from=$1
    case $from in *:*) to='[2001:db8::1]' from="[$from]" ;; esac
    world socat -u OPEN:/dev/null "TCP:$to:$2,bind=$from,connect-timeout=1" 2>/dev/null
}
# look ADDRESS PORT yes|no NAME: tries, tells, and ends everything when it is not as expected.
look() {
    local got=no state="is shut out of port $2"
    if reaches "$1" "$2"; then got=yes state="reaches port $2"; fi
    printf '  %-14s %-14s %s\n' "$4" "$1" "$state"
    [ "$got" = "$3" ] || fail "$1 on port $2: reached: $got, expected: $3"
}
# Waits until `stockade banned ADDRESS` says yes or no (its exit code), 15 s at most.
until_banned() {
    local want=$2
    for _ in $(seq 150); do
        local got=no
        if stockade banned "$1" >/dev/null 2>&1; then got=yes; fi
        [ "$got" = "$want" ] && return
        sleep 0.1
    done
    fail "$1 banned: not $want after 15 s"
}
stockade() { "$program" --etc "$work/etc" "$@"; }
export STOCKADE_DAEMON__SOCKET=$work/stockade.sock STOCKADE_DAEMON__STORE=$work/stockade.sqlite3
export STOCKADE_DAEMON__PID_FILE=$work/stockade.pid

say "1. The daemon starts: stockade run"
"$program" --etc "$work/etc" run --remove >"$work/stockade.log" 2>&1 & daemon=$!
for _ in $(seq 100); do
    if stockade status >/dev/null 2>&1 && grep -q 'ready:' "$work/stockade.log"; then break; fi
    kill -0 $daemon 2>/dev/null || fail "the daemon ended"
    sleep 0.1
done
sed 's/^/  /' "$work/stockade.log"

say "2. Before: everybody reaches the victim"
look $client 22 yes "the client"
look $ssh 22 yes "ssh attacker"
look $six 22 yes "ssh attacker"
look $mail 25 yes "mail attacker"
look $imap 993 yes "imap attacker"

say "3. The services write what they see (auth.log, mail.log)"
now() { date '+%b %e %H:%M:%S'; }
{
    for n in 1 2 3; do
        echo "$(now) victim sshd[4$n]: Failed password for root from $ssh port 5002$n ssh2"
        echo "$(now) victim sshd[5$n]: Failed password for invalid user admin from $six port 5003$n ssh2"
    done
    echo "$(now) victim sshd[61]: Failed password for alice from $client port 40000 ssh2"
    echo "$(now) victim sshd[61]: Accepted password for alice from $client port 40000 ssh2"
} | tee -a logs/auth.log | sed "s/^/  $dim/; s/\$/$plain/"
{
    for n in 1 2 3; do
        echo "$(now) victim postfix/smtpd[7$n]: warning: unknown[$mail]: SASL LOGIN authentication failed: UGFzc3dvcmQ6"
        echo "$(now) victim dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<alice>, method=PLAIN, rip=$imap, lip=192.0.2.1, TLS, session=<a$n>"
    done
} | tee -a logs/mail.log | sed "s/^/  $dim/; s/\$/$plain/"
for who in $ssh $six $mail $imap; do until_banned "$who" yes; done

say "4. After: the attackers are shut out, the client is not"
look $client 22 yes "the client"
look $imap 993 no "imap attacker"
look $ssh 22 no "ssh attacker"
look $six 22 no "ssh attacker"
look $mail 25 no "mail attacker"

say "5. stockade status"
stockade status | sed 's/^/  /'
say "   stockade status sshd"
stockade status sshd | sed 's/^/  /'

say "6. The kernel's sets: nft list table inet stockade"
nft list table inet stockade | sed 's/^/  /'

say "7. One jail is reloaded; the others do not move"
sed -i 's/^ports = \["smtp", "submission", "imaps"\]/&\nmax_retry = 2/' etc/jails.d/mail.toml
stockade reload postfix | sed 's/^/  /'

say "8. The ban of $imap ends after its 12 seconds, the others go on"
until_banned "$imap" no
look $imap 993 yes "imap attacker"
look $ssh 22 no "ssh attacker"

say "9. stockade unban $ssh"
stockade unban $ssh | sed 's/^/  /'
look $ssh 22 yes "ssh attacker"

say "10. The daemon ends; with --remove it leaves no rule behind"
kill -TERM $daemon
wait $daemon || fail "the daemon ended with $?"
grep -E 'Ban|Unban|stopp' "$work/stockade.log" | sed 's/^/  /'
[ -z "$(nft list tables)" ] || fail "a table was left behind: $(nft list tables)"
say "That was all. Next: README.md, \"A jail in ten lines\"."
