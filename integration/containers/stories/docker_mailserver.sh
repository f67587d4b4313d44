# What docker-mailserver's own tests assert, one after the other, with its tests' configuration.
story_docker_mailserver() {
    local files=$run/assertions
    mkdir -p "$files"
    printf '[DEFAULT]\nbantime = 1234\nfindtime = 321\nmaxretry = 2\nignoreip = 127.0.0.1/8\nbanaction = nftables-multiport\n' \
        >"$files/fail2ban-jail.cf"
    printf '[DEFAULT]\nloglevel = DEBUG\n' >"$files/fail2ban-fail2ban.cf"
    # As there, Dovecot tells of wrong passwords itself: the jail dovecot hears of those on 465, too.
    mailserver --cap-add NET_ADMIN --env DOVECOT_AUTH_VERBOSE=yes --volume "$files:/tmp/docker-mailserver:ro" || return
    local jail attacker=10.88.0.137

    lacks '1. localhost is not banned' "$(client status postfix)" 127.0.0.1
    has '2. fail2ban-fail2ban.cf is read' "$(client get loglevel)" DEBUG
    for jail in dovecot postfix custom; do
        equal "3. $jail: bantime" "$(client get "$jail" bantime)" "$([ "$jail" = custom ] && echo 15552000 || echo 1234)"
        equal "3. $jail: findtime" "$(client get "$jail" findtime)" 321
        equal "3. $jail: maxretry" "$(client get "$jail" maxretry)" 2
        has "3. $jail: banaction" "$(client -d)" "['set', '$jail', 'addaction', 'nftables-multiport']"
    done
    # The second ban, by dovecot, may come before the answer to the second password.
    holds '4. a wrong password on 465' tries "$attacker" submissions 1 refused
    attempts "$attacker" submissions 1 >/dev/null
    comes '4. another: status postfix lists the address' 10 is_banned postfix "$attacker"
    has '4. nftables holds it' "$(inside nft list set inet f2b-table addr-set-postfix)" "elements = { $attacker }"
    client set postfix unbanip "$attacker" >/dev/null
    lacks '5. unbanip: gone from status' "$(client status postfix)" "$attacker"
    lacks '5. unbanip: gone from nftables' "$(inside nft list set inet f2b-table addr-set-postfix)" "$attacker"
    by_hand 6 192.0.66.7
    by_hand 7 192.0.66.0/24
    local table
    table=$(inside nft list table inet f2b-table)
    has '8. the ports of dovecot' "$table" 'tcp dport { 110, 143, 465, 587, 993, 995, 4190 } ip saddr @addr-set-dovecot drop'
    has '8. the ports of custom' "$table" 'tcp dport { 25, 110, 143, 465, 587, 993, 995, 4190 } ip saddr @addr-set-custom drop'
    client unban "$attacker" >/dev/null
    client set postfix banip 192.0.66.9 >/dev/null
    equal '9. setup fail2ban lists' "$(typed setup fail2ban 2>&1)" 'Banned in postfix: 192.0.66.9'
    has '9. setup fail2ban unbans' "$(typed setup fail2ban unban 192.0.66.9 2>&1)" 'Unbanned IP from postfix: 1'
    has '9. setup fail2ban unban asks for an address' "$(typed setup fail2ban unban 2>&1)" 'You need to specify an IP address'
}

# by_hand NUMBER ADDRESS
by_hand() {
    equal "$1. setup fail2ban ban $2" "$(typed setup fail2ban ban "$2" 2>&1)" 'Banned custom IP: 1'
    has "$1. nftables holds it" "$(inside nft list set inet f2b-table addr-set-custom)" "elements = { $2 }"
    has "$1. setup fail2ban unban $2" "$(typed setup fail2ban unban "$2" 2>&1)" 'Unbanned IP from custom: 1'
    lacks "$1. gone" "$(inside nft list set inet f2b-table addr-set-custom)" "$2"
}
