# Debian's Fail2Ban bans, Stockade takes over what it remembers, and gives it back.
story_takeover() {
    [ "${SERVER:-}" != python ] || { step 'not for the reference'; return; }
    # Debian 13's Fail2Ban would read a journal that no container has, and never ban.
    local files=$run/takeover
    mkdir -p "$files"
    printf '[postfix]\nbackend = auto\n[dovecot]\nbackend = auto\n' >"$files/fail2ban-jail.cf"
    mailserver --cap-add NET_ADMIN --volume "$files:/tmp/docker-mailserver:ro" || return
    served_by distrib
    client set custom banip 10.88.0.114 fd88::114 >/dev/null
    attempts 10.88.0.115 submission 6 >/dev/null
    comes "Fail2Ban's own ban" 30 is_banned postfix 10.88.0.115

    served_by stockade
    comes 'taken over: the ban by failures is listed' 10 is_banned postfix 10.88.0.115
    equal 'taken over: bans by hand are in force' "$(attempts 10.88.0.114 imap 1) $(attempts fd88::114 imap 1)" 'shut shut'
    equal 'taken over: the ban by failures is in force' "$(attempts 10.88.0.115 smtp 1)" shut
    holds 'taken over: there is a backup of the memory' inside sh -c 'ls /var/lib/fail2ban/ | grep -v "^fail2ban.sqlite3$" | grep -q fail2ban'
    client set custom banip 10.88.0.116 >/dev/null

    served_by distrib
    comes 'given back: old and new bans are listed' 30 is_banned custom 10.88.0.116
    holds 'given back: so is the ban by failures' is_banned postfix 10.88.0.115
    equal 'given back: they are in force' "$(attempts 10.88.0.116 imap 1) $(attempts 10.88.0.115 smtp 1)" 'shut shut'
}

# served_by distrib|stockade: whose server supervisor starts. Fail2Ban's own client comes along.
served_by() {
    inside supervisorctl stop fail2ban >/dev/null
    local name
    for name in server client; do
        if [ "$1" = distrib ]; then
            inside ln -sf "/usr/bin/fail2ban-$name.distrib" "/usr/bin/fail2ban-$name"
        else
            inside ln -sf /usr/local/bin/stockade "/usr/bin/fail2ban-$name"
        fi
    done
    inside supervisorctl start fail2ban >/dev/null
    within 60 pings || fail "$1 comes up" "$(inside tail -n 20 /var/log/supervisor/fail2ban.log /var/log/mail/fail2ban.log)"
}
