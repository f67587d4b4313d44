#!/bin/sh
# Installs or uninstalls what `cargo build --release` made.
#
#   packaging/install.sh install|install-dropin|uninstall
#
# install-dropin also puts the program in the place of Fail2Ban's: its files are diverted, not overwritten, and
# /etc/fail2ban is left alone. With a package of Fail2Ban or without, before or after it; uninstall gives everything back.
#
# Environment: DESTDIR (root of the target tree), PREFIX (/usr/local), SYSCONFDIR (/etc), PROGRAM (the built program),
# FORCE=1 (replace files of unknown origin).
#
# A DESTDIR with a dpkg database of its own (var/lib/dpkg) is diverted in; one without has its files moved aside.
#
# Files of other packages and edited configuration are never overwritten. What is installed is written down in
# PREFIX/share/stockade/manifest, and exactly that is removed again.
set -eu
umask 022

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/usr/local}
SYSCONFDIR=${SYSCONFDIR:-/etc}
here=$(cd "$(dirname "$0")" && pwd)
PROGRAM=${PROGRAM:-$here/../target/release/stockade}
manifest=$PREFIX/share/stockade/manifest
tab=$(printf '\t')

# Fail2Ban's programs that this one stands in for, and what theirs are called meanwhile.
names='/usr/bin/fail2ban-server /usr/bin/fail2ban-client /usr/bin/fail2ban-regex'
aside=.fail2ban

say() { printf 'install: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
hash() { sha256sum <"$1" | cut -d' ' -f1; }

# Whether the manifest knows the file, and, with a hash, whether it is as installed.
known() { cut -f2 "$old" | grep -qxF "$1"; }
as_installed() { grep -qxF "$(hash "$DESTDIR$1")$tab$1" "$old"; }
is_configuration() { case $1 in "$SYSCONFDIR"/*) true ;; *) false ;; esac; }

# The package that owns a path, under either of its names on a merged-/usr system.
owner() {
    [ -z "$DESTDIR" ] && command -v dpkg >/dev/null || return 1
    dpkg -S "$1" 2>/dev/null | cut -d: -f1 | grep . && return
    case $1 in
        /usr/bin/* | /usr/sbin/* | /usr/lib/*) dpkg -S "${1#/usr}" 2>/dev/null | cut -d: -f1 | grep . ;;
        *) return 1 ;;
    esac
}

# Everything to install, as a tree.
stage() {
    at() { mkdir -p "$(dirname "$tree$1")" && cat >"$tree$1"; }
    share=$PREFIX/share
    at "$PREFIX/bin/stockade" <"$PROGRAM"
    sed "s|@BINDIR@|$PREFIX/bin|" "$here/stockade.service" | at "$PREFIX/lib/systemd/system/stockade.service"
    at "$PREFIX/lib/tmpfiles.d/stockade.conf" <"$here/stockade.tmpfiles"
    at "$SYSCONFDIR/logrotate.d/stockade" <"$here/stockade.logrotate"
    at "$SYSCONFDIR/stockade/stockade.toml" <"$here/stockade.toml"
    mkdir -p "$tree$SYSCONFDIR/stockade/jails.d" "$tree$share/man/man1"
    "$PROGRAM" man "$tree$share/man/man1"
    "$PROGRAM" completions bash | at "$share/bash-completion/completions/stockade"
    "$PROGRAM" completions zsh | at "$share/zsh/site-functions/_stockade"
    "$PROGRAM" completions fish | at "$share/fish/vendor_completions.d/stockade.fish"
    if [ -n "$dropin" ]; then stage_unit; else rm -f "$tree$share"/man/man1/fail2ban-*; fi
}

# A unit for Fail2Ban's name, where no package has one: theirs starts the same program.
stage_unit() {
    for there in /lib /usr/lib; do
        [ ! -e "$DESTDIR$there/systemd/system/fail2ban.service" ] || return 0
    done
    at "$PREFIX/lib/systemd/system/fail2ban.service" <"$here/fail2ban.service"
}

# Says what is in the way of the files read from standard input; fails if anything is.
check() {
    wrong=0
    while IFS= read -r path; do
        target=$DESTDIR$path
        [ -e "$target" ] || [ -L "$target" ] || continue
        if package=$(owner "$path"); then
            say "$path belongs to the package $package: remove that, or choose another PREFIX"
            wrong=1
        elif [ -d "$target" ]; then
            say "$path is a directory"
            wrong=1
        elif ! known "$path" && ! is_configuration "$path" && [ "${FORCE:-}" != 1 ] \
            && ! cmp -s "$target" "$tree$path"; then
            say "$path is there and was not installed by this script: FORCE=1 replaces it"
            wrong=1
        fi
    done
    return "$wrong"
}

# Creates a directory with its parents and writes down those that were not there.
directory() {
    [ -d "$DESTDIR$1" ] && return
    case $1 in */*/*) directory "${1%/*}" ;; esac
    mkdir "$DESTDIR$1"
    printf 'dir\t%s\n' "$1" >>"$new"
}

# Puts one file in its place, at once: a running program is not disturbed.
place() {
    path=$1 target=$DESTDIR$1 mode=644
    case $path in */bin/*) mode=755 ;; esac
    if is_configuration "$path" && [ -e "$target" ] && ! cmp -s "$target" "$tree$path" && ! as_installed "$path"; then
        say "kept $path: it was edited"
        awk -F"$tab" 'NR == FNR { path = $0; next } $2 == path' - "$old" <<END >>"$new" # still ours, still edited
$path
END
        return
    fi
    directory "${path%/*}"
    printf '%s\t%s\n' "$(hash "$tree$path")" "$path" >>"$new"
    install -m "$mode" "$tree$path" "$target.stockade-new"
    mv -f "$target.stockade-new" "$target"
}

# Removes the files of the manifest on standard input, unless they were edited.
remove() {
    while IFS="$tab" read -r sum path; do
        case $sum in dir | link | divert) continue ;; esac
        [ -e "$DESTDIR$path" ] || continue
        if [ "$(hash "$DESTDIR$path")" = "$sum" ]; then
            rm -f "$DESTDIR$path"
        else
            say "kept $path: it was edited"
        fi
    done
}

# Moves a file of Fail2Ban's aside or back, and has dpkg do so with those of packages to come.
divert() {
    if [ -d "$DESTDIR/var/lib/dpkg" ] && command -v dpkg-divert >/dev/null; then
        dpkg-divert ${DESTDIR:+--root="$DESTDIR"} --quiet --local --rename --divert "$2$aside" "--$1" "$2"
    elif [ "$1" = add ]; then
        if [ -e "$DESTDIR$2" ] || [ -L "$DESTDIR$2" ]; then mv "$DESTDIR$2" "$DESTDIR$2$aside"; fi
    elif [ -e "$DESTDIR$2$aside" ] || [ -L "$DESTDIR$2$aside" ]; then
        mv "$DESTDIR$2$aside" "$DESTDIR$2"
    fi
}

# Whether a name leads to the program already.
is_linked() { [ "$(readlink "$DESTDIR$1")" = "$PREFIX/bin/stockade" ]; }

# Puts links to the program in the place of Fail2Ban's.
link_names() {
    for path in $names; do
        if is_linked "$path"; then continue; fi
        if [ -e "$DESTDIR$path" ] && [ -e "$DESTDIR$path$aside" ]; then
            die "$path$aside is there already, and so is $path: move one of them away"
        fi
        # Written down first, so that an interruption can be taken back.
        directory "${path%/*}"
        printf 'divert\t%s\nlink\t%s\n' "$path" "$path" >>"$new"
        write_manifest "$new"
        divert add "$path"
        ln -s "$PREFIX/bin/stockade" "$DESTDIR$path"
    done
}

# Takes the links away and gives Fail2Ban's files their places back.
unlink_names() {
    sed -n "s/^divert$tab//p" "$old" | while IFS= read -r path; do
        if is_linked "$path"; then
            rm -f "$DESTDIR$path"
        elif [ -e "$DESTDIR$path" ]; then
            [ -e "$DESTDIR$path$aside" ] || continue # it was never moved
            say "kept $path: it was changed"
            continue
        fi
        divert remove "$path"
    done
}

write_manifest() {
    directory "${manifest%/*}"
    cat "$@" | sort -u >"$DESTDIR$manifest.new"
    mv -f "$DESTDIR$manifest.new" "$DESTDIR$manifest"
}

install_all() {
    [ -x "$PROGRAM" ] || die "$PROGRAM is not there: cargo build --release"
    [ -z "$DESTDIR" ] || mkdir -p "$DESTDIR"
    if grep -q "^divert$tab" "$old"; then dropin=1; fi # once in Fail2Ban's place, always
    stage
    (cd "$tree" && find . -type f | sed 's/^\.//' | LC_ALL=C sort) >"$work/files"
    check <"$work/files" || die "nothing was installed"

    # Written down before anything is put in place, so that an interrupted installation can be taken back.
    while IFS= read -r path; do printf '%s\t%s\n' "$(hash "$tree$path")" "$path"; done <"$work/files" >"$work/planned"
    grep -E "^(dir|link|divert)$tab" "$old" >"$new" || :
    write_manifest "$old" "$work/planned" "$new"
    while IFS= read -r path; do place "$path"; done <"$work/files"
    directory "$SYSCONFDIR/stockade/jails.d"
    # What an older version had and this one has not.
    cut -f2 "$new" >"$work/kept"
    awk -F"$tab" 'NR == FNR { kept[$0]; next } !($2 in kept)' "$work/kept" "$old" | remove
    write_manifest "$new"
    [ -z "$dropin" ] || link_names

    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemd-tmpfiles --create stockade.conf
    fi
    if [ -n "$dropin" ]; then
        say "done; next: fail2ban-client -t, then systemctl restart fail2ban (what ran before runs until then)"
        return
    fi
    say "done; next: enable jails in $SYSCONFDIR/stockade, then stockade check, then systemctl enable --now stockade"
}

uninstall_all() {
    [ -e "$DESTDIR$manifest" ] || die "$DESTDIR$manifest is not there: nothing was installed with PREFIX=$PREFIX"
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        for unit in stockade fail2ban; do
            grep -q "/$unit.service$" "$old" || continue
            systemctl disable --now "$unit.service" || say "$unit.service could not be stopped"
        done
    fi
    unlink_names
    remove <"$old"
    rm -f "$DESTDIR$manifest"
    sed -n "s/^dir$tab//p" "$old" | LC_ALL=C sort -r | while IFS= read -r path; do
        rmdir "$DESTDIR$path" 2>/dev/null || : # something else lives there now
    done
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    say "done; what the daemon remembers stays in /var/lib/stockade"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
dropin='' tree=$work/tree old=$work/old new=$work/new
mkdir "$tree"
: >"$new"
if [ -e "$DESTDIR$manifest" ]; then cat "$DESTDIR$manifest"; fi >"$old"

case ${1:-} in
    install) install_all ;;
    install-dropin) dropin=1 && install_all ;;
    uninstall) uninstall_all ;;
    *) die "install.sh install|install-dropin|uninstall" ;;
esac
