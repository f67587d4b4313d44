# Bans outlive the program, the container, and its replacement on the same volume.
story_restart() {
    $docker volume create mail-state >/dev/null
    options=(--cap-add NET_ADMIN --volume mail-state:/var/mail-state)
    mailserver "${options[@]}" || return
    attempts 10.88.0.112 submissions 6 >/dev/null
    comes 'a ban by failures' 20 is_banned postfix 10.88.0.112
    client set custom banip fd88::112 10.88.0.128/28 >/dev/null
    attempts 10.88.0.113 imap 5 >/dev/null
    comes 'five failures are counted' 20 found_are dovecot 10.88.0.113 5

    inside sh -c 'kill -KILL "$(pgrep --full --oldest fail2ban-server)"'
    holds 'killed: supervisor starts it again' within 30 pings
    still_banned killed

    $docker restart --time 60 mailserver >/dev/null
    ready || return
    still_banned 'container restarted'

    mailserver "${options[@]}" || return
    still_banned 'container made anew on the same volume'
    attempts 10.88.0.113 imap 1 >/dev/null
    comes 'the failure that was missing bans: the five before were remembered' 10 is_banned dovecot 10.88.0.113
}

# still_banned WHEN
still_banned() {
    comes "$1: the ban by failures is listed" 10 is_banned postfix 10.88.0.112
    comes "$1: those by hand are listed" 10 is_banned custom fd88::112
    equal "$1: nobody of them comes through" \
        "$(attempts 10.88.0.112 smtp 1) $(attempts fd88::112 imap 1) $(attempts 10.88.0.135 imap 1)" 'shut shut shut'
    holds "$1: another client reads mail" tries "$friend" imap 1 accepted
}
