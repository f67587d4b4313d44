# A container without NET_ADMIN: the server stays, bans nobody, and says why.
story_without_net_admin() {
    mailserver || return
    holds 'supervisor shows it as RUNNING' running
    local answer
    answer=$(inside sh -c 'fail2ban-client set custom banip 192.0.66.7 2>/tmp/why; echo "rc=$?"')
    equal 'banip: no count, and failure' "$answer" rc=255
    has 'banip: standard error names what is missing' "$(inside cat /tmp/why)" NET_ADMIN
    lacks 'setup fail2ban ban claims nothing' "$(typed setup fail2ban ban 192.0.66.8 2>&1)" 'Banned custom IP'
    attempts 10.88.0.117 submissions 6 >/dev/null
    comes 'failures are counted' 20 found_are postfix 10.88.0.117 6
    holds 'the attacker is not called banned' is_free postfix 10.88.0.117
    lacks 'setup fail2ban lists nobody' "$(typed setup fail2ban 2>&1)" 'Banned in'
    has 'the log names what is missing' "$(inside cat /var/log/mail/fail2ban.log)" NET_ADMIN
    holds 'it is RUNNING still' running
    equal 'it was not started over and over' "$(inside grep -c "spawned: 'fail2ban'" /var/log/supervisor/supervisord.log)" 1
}
