#!/bin/sh
# syntax.sh SCRIPT…: whether each script is one, for the shell that its first line names; without such a line, for bash.
set -eu
wrong=0
for script in "$@"; do
    shell=bash
    case $(head -n 1 "$script") in '#!/bin/sh'*) shell=sh ;; esac
    "$shell" -n "$script" || wrong=1
done
exit "$wrong"
