# `docker exec mailserver setup fail2ban`: lists, bans, unbans; addresses, prefixes, and what is neither.
story_setup() {
    mailserver --cap-add NET_ADMIN || return
    local setup='docker exec mailserver setup fail2ban'
    has "$setup: nobody is banned" "$(asked)" 'No IPs have been banned'

    equal "$setup ban: says what it did" "$(asked ban 10.88.0.110)" 'Banned custom IP: 1'
    equal "$setup ban: the address is shut out" "$(attempts 10.88.0.110 imap 1)" shut
    equal "$setup ban: the kernel holds it" "$(elements addr-set-custom)" 10.88.0.110
    has "$setup ban: once more is no ban" "$(asked ban 10.88.0.110)" "Banning '10.88.0.110' failed. Already banned?"
    equal "$setup ban: several at once" "$(asked ban 10.88.0.111 fd88::110)" 'Banned custom IP: 2'
    equal "$setup ban: IPv6 is shut out" "$(attempts fd88::110 imap 1)" shut
    equal "$setup: lists them" "$(asked)" 'Banned in custom: 10.88.0.110 10.88.0.111 fd88::110'
    equal "$setup unban: says where" "$(asked unban 10.88.0.110)" \
        $'Unbanned IP from custom: 1\nUnbanned IP from dovecot: 0\nUnbanned IP from postfix: 0'
    holds "$setup unban: lets the address in" tries 10.88.0.110 imap 1 refused

    equal "$setup ban: a prefix" "$(asked ban 10.88.0.128/28)" 'Banned custom IP: 1'
    equal "$setup ban: its members are shut out" "$(attempts 10.88.0.130 imap 1)$(attempts 10.88.0.140 smtp 1)" shutshut
    holds "$setup ban: its neighbours are not" tries 10.88.0.127 imap 1 refused
    has "$setup: lists the prefix" "$(asked)" 10.88.0.128/28
    has "$setup unban: the prefix" "$(asked unban 10.88.0.128/28)" 'Unbanned IP from custom: 1'
    holds "$setup unban: lets its members in" tries 10.88.0.130 imap 1 refused

    lacks "$setup ban not-an-ip: is no ban" "$(asked ban not-an-ip)" 'Banned custom'
    lacks "$setup: does not list it" "$(asked)" not-an-ip
    equal 'banip not-an-ip: nothing on standard output' "$(typed fail2ban-client set custom banip not-an-ip 2>/dev/null)" ''
    has "$setup status: tells of every jail" "$(asked status)" 'Status for the jail: postfix'
    has "$setup log: shows the log" "$(asked log)" '[custom] Ban 10.88.0.110'
    has "$setup bogus: shows what there is" "$(asked bogus)" "Unknown command 'bogus'"
    equal "$setup bogus: fails" "$(typed setup fail2ban bogus >/dev/null 2>&1; echo $?)" 1
}

# What it says, standard error included.
asked() { typed setup fail2ban "$@" 2>&1; }
