#!/bin/bash
# podman.sh IMAGE: a mail server under Podman without root that sees who its clients are.
set -euo pipefail
options=(
    # The port handler that keeps the clients' addresses; the default, rootlesskit, shows the container's own.
    --network slirp4netns:port_handler=slirp4netns
    # That network's interface in the container.
    --env NETWORK_INTERFACE=tap0
    # Over the container's own network only. Legacy iptables needs NET_RAW as well.
    --cap-add NET_ADMIN
    --env FAIL2BAN_BLOCKTYPE=drop
    --volume mail-state:/var/mail-state
    --volume mail-logs:/var/log/mail
)
for port in 25 143 465 587 993; do options+=(--publish "$port:$port"); done
exec podman run --detach --name mailserver --hostname mail.example.test "${options[@]}" "${1:?usage: podman.sh IMAGE}"
