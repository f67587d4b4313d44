#!/bin/bash
# A real Postfix and Dovecot with one account, alice@example.test, whose password is goodpass.
set -euo pipefail
key=/etc/ssl/private/mail.key certificate=/etc/ssl/mail.pem

id vmail >/dev/null 2>&1 || useradd --uid 5000 --home-dir /var/vmail vmail
mkdir -p /var/vmail
# Before Dovecot makes it for its socket: Postfix alone may be its owner.
install -d -o postfix -g root -m 700 /var/spool/postfix/private
chown vmail: /var/vmail
[ -s "$key" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=mail.example.test \
    -keyout "$key" -out "$certificate" 2>/dev/null
echo 'alice@example.test:{PLAIN}goodpass:5000:5000::/var/vmail/alice::' >/etc/dovecot/users

# What 2.3 and 2.4 spell alike. Attackers are not slowed down: a test would only take longer.
common() {
    cat <<END
protocols = imap pop3 sieve
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = ${DOVECOT_AUTH_VERBOSE:-no}
ssl = yes
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
END
}

dovecot_2_3() {
    common
    cat <<END
disable_plaintext_auth = yes
ssl_cert = <$certificate
ssl_key = <$key
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
END
}

dovecot_2_4() {
    cat <<END
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
END
    common
    cat <<END
auth_allow_cleartext = no
ssl_server_cert_file = $certificate
ssl_server_key_file = $key
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
userdb passwd-file {
  passwd_file_path = /etc/dovecot/users
}
END
}

case $(dovecot --version) in
    2.3.*) dovecot_2_3 ;;
    *) dovecot_2_4 ;;
esac >/etc/dovecot/dovecot.conf

postconf -e 'compatibility_level = 3.6' 'myhostname = mail.example.test' 'mydestination = localhost' \
    'inet_interfaces = all' 'inet_protocols = all' 'mynetworks = 127.0.0.0/8' \
    'virtual_mailbox_domains = example.test' 'virtual_mailbox_maps = inline:{alice@example.test=alice/}' \
    'virtual_mailbox_base = /var/vmail' 'virtual_uid_maps = static:5000' 'virtual_gid_maps = static:5000' \
    'smtpd_sasl_auth_enable = yes' 'smtpd_sasl_type = dovecot' 'smtpd_sasl_path = private/auth' \
    "smtpd_tls_cert_file = $certificate" "smtpd_tls_key_file = $key" 'smtpd_tls_security_level = may' \
    'smtpd_recipient_restrictions = permit_sasl_authenticated, reject_unauth_destination' \
    'smtpd_error_sleep_time = 0'
postconf -M smtp/inet='smtp inet n - n - - smtpd' \
    submission/inet='submission inet n - n - - smtpd -o syslog_name=postfix/submission' \
    submissions/inet='submissions inet n - n - - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes'
newaliases
rm -f /var/spool/postfix/pid/master.pid /run/dovecot/master.pid /run/rsyslogd.pid
