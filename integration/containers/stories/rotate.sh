# logrotate in the middle of an attack: mail.log is copied and truncated, fail2ban.log made anew and `flushlogs` called.
story_rotate() {
    mailserver --cap-add NET_ADMIN || return
    holds 'three failures' tries 10.88.0.121 submissions 3 refused
    holds 'mail.log is copied and truncated at once' inside logrotate --force /etc/logrotate.d/maillog
    holds 'two more failures' tries 10.88.0.121 submissions 2 refused
    comes 'all five are counted' 20 found_are postfix 10.88.0.121 5
    holds 'and do not ban' is_free postfix 10.88.0.121
    holds 'fail2ban.log is rotated; flushlogs does not fail' inside logrotate --force /etc/logrotate.d/fail2ban
    equal 'flushlogs says what logrotate expects' "$(client flushlogs)" 'logs: rolled over'
    attempts 10.88.0.121 submissions 1 >/dev/null
    comes 'a sixth failure bans' 10 is_banned postfix 10.88.0.121
    comes 'the new fail2ban.log tells of it' 10 inside grep -qF '[postfix] Ban 10.88.0.121' /var/log/mail/fail2ban.log
    equal 'counted exactly' "$(found postfix 10.88.0.121)" 6

    storm
    holds 'the daily rotation as cron starts it' inside /etc/cron.daily/logrotate
}

# Twelve attackers at once, and five rotations among them.
storm() {
    local last pids=() written
    for last in $(seq 122 127) $(seq 129 134); do
        attempts "10.88.0.$last" imap 5 >/dev/null &
        pids+=($!)
    done
    for _ in 1 2 3 4 5; do inside logrotate --force /etc/logrotate.d/maillog; done
    wait "${pids[@]}"
    # What logrotate itself loses between copying and truncating is not for anybody to find.
    written=$(inside sh -c 'cd /var/log/mail; { cat mail.log mail.log.[0-9]; zcat -f mail.log.*.gz; } 2>/dev/null' | grep -c 'auth failed.*rip=10\.88\.0\.1[23]')
    comes "a storm with five rotations: each of the $written failures that reached a log is counted" 30 storm_is "$written"
}

storm_is() { [ "$(inside sh -c 'cat /var/log/mail/fail2ban.log*' | grep -c '\[dovecot\] Found 10\.88\.0\.1[23]')" -ge "$1" ]; }
