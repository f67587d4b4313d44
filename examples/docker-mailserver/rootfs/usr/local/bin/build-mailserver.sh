#!/bin/bash
# What docker-mailserver does to Debian's files when its image is built. An edit that changes nothing ends the build.
set -euo pipefail

# edit FILE EXPRESSION: sed that must find something.
edit() {
    local before
    before=$(sha256sum "$1")
    sed --in-place --regexp-extended "$2" "$1"
    [ "$before" != "$(sha256sum "$1")" ] || { echo "build: nothing in $1 answers to $2" >&2; exit 1; }
}

# Sets take prefixes, too.
edit /etc/fail2ban/action.d/nftables.conf \
    's/^_nft_add_set = .+/_nft_add_set = <nftables> add set <table_family> <table> <addr_set> \\{ type <addr_type>\\; flags interval\\; \\}/'
edit /etc/fail2ban/jail.conf 's|^#?ignoreip = 127.0.0.1/8.*|ignoreip = 127.0.0.1/8|'
edit /etc/logrotate.d/fail2ban 's|^/var/log/fail2ban.log \{$|/var/log/mail/fail2ban.log {|'
edit /etc/logrotate.d/fail2ban 's|(.*)weekly$|\1daily|'
edit /etc/logrotate.d/fail2ban 's|(.*)rotate 4$|\1rotate 5|'
# Debian's own jail for sshd: there is none in a container.
rm -f /etc/fail2ban/jail.d/defaults-debian.conf

# The logs that Fail2Ban knows are links into the folder that a user keeps on a volume.
mkdir -p /var/log/mail
ln -sf /var/log/mail/mail.log /var/log/mail.log
ln -sf /var/log/mail/fail2ban.log /var/log/fail2ban.log
# rsyslog's own rotation would move mail.log away; ours copies and truncates it.
sed -i '/mail\./d' /etc/logrotate.d/rsyslog

# No kernel log in a container.
sed -i '/imklog/d' /etc/rsyslog.conf
sed -i 's/^\[supervisord\]$/&\nuser=root/' /etc/supervisor/supervisord.conf
