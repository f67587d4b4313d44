# The test image of examples/docker-mailserver, on a base that is made of Debian's packages: no registry is asked.

# The archive that this machine's own apt uses.
mirror() {
    {
        sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources
        sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
    } 2>/dev/null | tr ' ' '\n' | grep -E '/debian/?$' | head -n 1
}

# base SUITE: Debian, the packages of the image, and in /opt/iptables those of iptables, not installed.
base() {
    local archive=$keep/base-$1.tar
    local stamp=$keep/base-$1.packages
    if ! cmp -s "$stamp" "$context/packages.txt" || [ ! -s "$archive" ]; then
        # shellcheck disable=SC2016
        mmdebstrap --quiet --format=tar --variant=minbase --include="$(paste --serial --delimiters=, "$context/packages.txt")" \
            --aptopt='Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false"; Acquire::Retries "3"' \
            --customize-hook='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get install -qq --yes --download-only --no-install-recommends iptables >/dev/null' \
            --customize-hook='mkdir "$1/opt/iptables" && mv "$1"/var/cache/apt/archives/*.deb "$1/opt/iptables/"' \
            "$1" "$archive.part" "$(mirror)"
        mv "$archive.part" "$archive"
        cp "$context/packages.txt" "$stamp"
        step "Debian $1 from its packages"
    fi
    $docker import --change 'ENV DEBIAN_FRONTEND=noninteractive' - "stockade/base:$1" <"$archive" >/dev/null
}

# image SUITE
image() {
    suite=$1 story=image
    context=$run/context
    rm -rf "$context"
    cp -r "$project/examples/docker-mailserver" "$context"
    cp "$program" "$context/stockade"
    base "$suite"
    [ "${SERVER:-}" != python ] || sed -i '/^RUN link-fail2ban/d' "$context/Dockerfile"
    mail=stockade/mail:$suite
    if ! $docker build --quiet --network none --build-arg "BASE=stockade/base:$suite" --tag "$mail" "$context" >"$run/build.log" 2>&1; then
        cat "$run/build.log" >&2
        echo "containers: the image for $suite cannot be built" >&2
        exit 1
    fi
    step "image for $suite: $($docker image inspect --format '{{.Size}}' "$mail") bytes"
}
