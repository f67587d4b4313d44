#!/bin/sh
# Installs or uninstalls what `cargo build --release` made.
#
#   packaging/install.sh install|uninstall
#
# Environment: DESTDIR (root of the target tree), PREFIX (/usr/local), SYSCONFDIR (/etc), PROGRAM (the built program),
# FORCE=1 (replace files of unknown origin).
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
        [ "$sum" != dir ] && [ -e "$DESTDIR$path" ] || continue
        if [ "$(hash "$DESTDIR$path")" = "$sum" ]; then
            rm -f "$DESTDIR$path"
        else
            say "kept $path: it was edited"
        fi
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
    stage
    (cd "$tree" && find . -type f | sed 's/^\.//' | LC_ALL=C sort) >"$work/files"
    check <"$work/files" || die "nothing was installed"

    # Written down before anything is put in place, so that an interrupted installation can be taken back.
    while IFS= read -r path; do printf '%s\t%s\n' "$(hash "$tree$path")" "$path"; done <"$work/files" >"$work/planned"
    grep "^dir$tab" "$old" >"$new" || :
    write_manifest "$old" "$work/planned" "$new"
    while IFS= read -r path; do place "$path"; done <"$work/files"
    directory "$SYSCONFDIR/stockade/jails.d"
    # What an older version had and this one has not.
    cut -f2 "$new" >"$work/kept"
    awk -F"$tab" 'NR == FNR { kept[$0]; next } !($2 in kept)' "$work/kept" "$old" | remove
    write_manifest "$new"

    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemd-tmpfiles --create stockade.conf
    fi
    say "done; next: enable jails in $SYSCONFDIR/stockade, then stockade check, then systemctl enable --now stockade"
}

uninstall_all() {
    [ -e "$DESTDIR$manifest" ] || die "$DESTDIR$manifest is not there: nothing was installed with PREFIX=$PREFIX"
    if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
        systemctl disable --now stockade.service || say "stockade.service could not be stopped"
    fi
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
tree=$work/tree old=$work/old new=$work/new
mkdir "$tree"
: >"$new"
if [ -e "$DESTDIR$manifest" ]; then cat "$DESTDIR$manifest"; fi >"$old"

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) die "install.sh install|uninstall" ;;
esac
