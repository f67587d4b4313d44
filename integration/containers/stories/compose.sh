# The example's compose file, as it stands.
story_compose() {
    $docker rm --force --volumes mailserver >/dev/null 2>&1 || true
    local file=$context/compose.yaml
    holds 'docker-compose up' env "MAILSERVER_IMAGE=$mail" docker-compose --file "$file" up --detach --no-build
    holds 'the server of bans comes up' within 90 pings
    has 'fail2ban-jail.cf reaches the container' "$(client get postfix maxretry)" 4
    has 'fail2ban-fail2ban.cf reaches it, too' "$(client get dbpurgeage)" 604800
    equal 'it has NET_ADMIN' "$(typed setup fail2ban ban 192.0.2.7 2>&1)" 'Banned custom IP: 1'
    equal 'the kernel holds the ban' "$(elements addr-set-custom)" 192.0.2.7
    holds 'docker-compose down and up' env "MAILSERVER_IMAGE=$mail" sh -c \
        "docker-compose --file '$file' down --timeout 60 && docker-compose --file '$file' up --detach --no-build"
    holds 'it comes up again' within 90 pings
    comes 'and remembers' 10 is_banned custom 192.0.2.7
    holds 'docker-compose down' env "MAILSERVER_IMAGE=$mail" docker-compose --file "$file" down --volumes --timeout 60
}
