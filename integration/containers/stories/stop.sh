# How it ends and begins under supervisor.
story_stop() {
    # As many open files as this host allows: nothing may try each number.
    local files
    files=$(ulimit -Hn)
    mailserver --cap-add NET_ADMIN --env FAIL2BAN_BLOCKTYPE=reject --ulimit "nofile=$files:$files" || return
    client set custom banip 10.88.0.136 >/dev/null
    equal 'FAIL2BAN_BLOCKTYPE=reject: refused, not dropped' "$(attempts 10.88.0.136 imap 1)" rejected
    holds 'pgrep finds it by the name that the health check knows' inside pgrep --full --list-full --oldest fail2ban-server

    local start=$SECONDS
    equal 'supervisor stops it' "$(inside supervisorctl stop fail2ban)" 'fail2ban: stopped'
    holds 'in less than stopwaitsecs' test $((SECONDS - start)) -lt 55
    holds 'its table is gone' no_table
    holds 'who was banned comes in' tries 10.88.0.136 imap 1 refused
    has 'setup fail2ban says that nothing runs' "$(typed setup fail2ban 2>&1)" 'Fail2ban not running'
    equal 'setup fail2ban fails then' "$(typed setup fail2ban >/dev/null 2>&1; echo $?)" 1
    inside supervisorctl start fail2ban >/dev/null
    holds 'supervisor starts it' within 30 pings
    equal 'the ban is in force again' "$(attempts 10.88.0.136 imap 1)" rejected

    local before
    before=$(inside pgrep --full --oldest fail2ban-server)
    inside sh -c "kill -TERM $before"
    comes 'SIGTERM: supervisor starts another' 60 another_than "$before"
    holds 'SIGTERM: which answers' within 30 pings
    comes 'SIGTERM: the ban is in force again' 20 is_banned custom 10.88.0.136

    before=$(inside pgrep --full --oldest fail2ban-server)
    inside sh -c "kill -KILL $before"
    comes 'SIGKILL: a left socket and pid file are no obstacle' 60 another_than "$before"
    holds 'SIGKILL: it answers' within 30 pings
    equal 'SIGKILL: no rule stands there twice' "$(inside nft list chain inet f2b-table f2b-chain 2>/dev/null | grep @addr | sort | uniq -d)" ''
    equal 'SIGKILL: the ban is in force again' "$(attempts 10.88.0.136 imap 1)" rejected

    start=$SECONDS
    $docker stop --time 60 mailserver >/dev/null
    holds 'the container stops in time' test $((SECONDS - start)) -lt 60
}

another_than() { local now; now=$(inside pgrep --full --oldest fail2ban-server) && [ "$now" != "$1" ]; }
