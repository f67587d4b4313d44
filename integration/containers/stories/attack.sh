# Real wrong logins: five do nothing, the sixth shuts the attacker out, and nobody else.
story_attack() {
    mailserver --cap-add NET_ADMIN || return
    six postfix 10.88.0.101 submissions
    six postfix 10.88.0.102 submission
    six postfix 10.88.0.103 smtp
    six dovecot 10.88.0.104 imap
    six dovecot 10.88.0.105 pop
    six postfix fd88::101 submission
    six dovecot fd88::104 imap
    equal 'who was banned for one port is shut out of the others' "$(attempts 10.88.0.101 imap 1)" shut
    holds 'another client sends mail' tries "$friend" submission 1 accepted
    holds 'another client reads mail' tries "$friend" imap 1 accepted
    attempts "$friend" imap 5 >/dev/null
    comes 'five wrong passwords of another client are counted' 20 found_are dovecot "$friend" 5
    holds 'and do not shut it out' tries "$friend" imap 1 accepted

    verbose_dovecot
}

# six JAIL ADDRESS SERVICE
six() {
    holds "$3 from $2: five wrong passwords are refused" tries "$2" "$3" 5 refused
    comes "$3 from $2: they are counted by $1" 20 found_are "$1" "$2" 5
    holds "$3 from $2: they do not ban" is_free "$1" "$2"
    # The packets of the answer may be dropped already.
    attempts "$2" "$3" 1 >/dev/null
    comes "$3 from $2: the sixth bans" 10 is_banned "$1" "$2"
    equal "$3 from $2: no packet comes through any more" "$(attempts "$2" "$3" 1)" shut
    equal "$3 from $2: counted exactly" "$(found "$1" "$2")" 6
}

# docker-mailserver lets Dovecot tell of each wrong password a second time. That must not be missed, and may ban sooner.
verbose_dovecot() {
    mailserver --cap-add NET_ADMIN --env DOVECOT_AUTH_VERBOSE=yes || return
    attempts 10.88.0.106 imap 6 >/dev/null
    comes 'auth_verbose: six wrong passwords ban' 10 is_banned dovecot 10.88.0.106
    holds 'auth_verbose: another client reads mail' tries "$friend" imap 1 accepted
}
