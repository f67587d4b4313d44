#!/bin/bash
# Without an image of your own: docker-mailserver runs this file once, when a container starts, before Fail2Ban.
# Put it and the program into the folder that is mounted as /tmp/docker-mailserver. Not run by the tests.
set -eu
install -m 755 /tmp/docker-mailserver/stockade /usr/local/bin/stockade
for name in fail2ban-server fail2ban-client fail2ban-regex; do
    [ -e "/usr/bin/$name.distrib" ] || mv "/usr/bin/$name" "/usr/bin/$name.distrib"
    ln -sf /usr/local/bin/stockade "/usr/bin/$name"
done
