#!/bin/bash
# What docker-mailserver does when a container starts, as far as Fail2Ban is concerned.
# A user's files lie in /tmp/docker-mailserver.
set -euo pipefail
config=/tmp/docker-mailserver

# The memory of bans lies on the volume of the mail server's state, if there is one.
state=/var/mail-state
if [ -d "$state" ] && [ ! -L /var/lib/fail2ban ]; then
    [ -d "$state/lib-fail2ban" ] || mv /var/lib/fail2ban "$state/lib-fail2ban"
    rm -rf /var/lib/fail2ban
    ln -s "$state/lib-fail2ban" /var/lib/fail2ban
fi

if [ "${FAIL2BAN_BLOCKTYPE:-drop}" != reject ]; then
    printf '[Init]\nblocktype = drop\n' >/etc/fail2ban/action.d/nftables-common.local
fi
[ ! -f "$config/fail2ban-jail.cf" ] || cp "$config/fail2ban-jail.cf" /etc/fail2ban/jail.d/user-jail.local
[ ! -f "$config/fail2ban-fail2ban.cf" ] || cp "$config/fail2ban-fail2ban.cf" /etc/fail2ban/fail2ban.local

configure-mail.sh
touch /var/log/mail/mail.log /var/log/auth.log

for program in cron rsyslog dovecot postfix; do supervisorctl start "$program"; done
if [ "${ENABLE_FAIL2BAN:-1}" = 1 ]; then supervisorctl start fail2ban; fi
exec tail --follow=name --retry --lines=+1 /var/log/mail/mail.log
