# Legacy iptables by fail2ban-jail.cf. docker-mailserver's image has none: first that is said, then it is installed.
story_iptables() {
    local files=$run/iptables
    mkdir -p "$files"
    printf '[DEFAULT]\nbanaction = iptables-multiport\nbanaction_allports = iptables-allports\n' >"$files/fail2ban-jail.cf"
    mailserver --cap-add NET_ADMIN --volume "$files:/tmp/docker-mailserver:ro" || return
    holds 'without iptables it is RUNNING' running
    attempts 10.88.0.118 submissions 6 >/dev/null
    comes 'without iptables the reason is in the log' 20 log_says 'iptables: .*not found'
    holds 'without iptables nobody is called banned' is_free postfix 10.88.0.118
    local answer
    answer=$(inside sh -c 'fail2ban-client set custom banip 192.0.66.7 2>/tmp/why; echo "rc=$?"')
    equal 'without iptables banip counts nothing, and fails' "$answer" rc=255
    has 'without iptables banip says why' "$(inside cat /tmp/why)" 'not found'

    holds 'iptables is installed' inside sh -c 'dpkg --install /opt/iptables/*.deb'
    by_iptables nft 10.88.0.119
    if inside sh -c 'update-alternatives --set iptables /usr/sbin/iptables-legacy && iptables -w -L -n' >/dev/null 2>&1; then
        inside update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
        by_iptables legacy 10.88.0.120
    else
        step 'SKIPPED: this kernel has no legacy tables'
    fi
}

# by_iptables KIND ADDRESS
by_iptables() {
    inside supervisorctl restart fail2ban >/dev/null
    within 30 pings || fail "iptables ($1): it comes up"
    attempts "$2" submissions 6 >/dev/null
    comes "iptables ($1): the sixth failure bans" 20 is_banned postfix "$2"
    has "iptables ($1): the rule is there" "$(inside iptables -w -n -L)" "$2"
    lacks "iptables ($1): the attacker is out" "$(attempts "$2" submissions 1)" refused
    holds "iptables ($1): another client sends mail" tries "$friend" submission 1 accepted
    client set postfix unbanip "$2" >/dev/null
    holds "iptables ($1): an unban lets it in" tries "$2" submission 1 refused
    inside supervisorctl stop fail2ban >/dev/null
    lacks "iptables ($1): a stop takes its chains away" "$(inside iptables -w -n -L)" f2b-
}

log_says() { inside grep -qE "$1" /var/log/mail/fail2ban.log; }
