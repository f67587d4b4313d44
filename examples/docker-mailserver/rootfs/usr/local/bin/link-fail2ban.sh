#!/bin/sh
# Puts the program in the place of Fail2Ban's three, as `make install-dropin` does on a host, and gives the container
# a `setup` if it has none.
set -eu
program=$(command -v stockade)
for name in fail2ban-server fail2ban-client fail2ban-regex; do
    dpkg-divert --quiet --local --rename --divert "/usr/bin/$name.distrib" --add "/usr/bin/$name"
    ln -sf "$program" "/usr/bin/$name"
done
command -v setup >/dev/null || ln -s "$program" /usr/local/bin/setup
