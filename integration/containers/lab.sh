# Saying what is done, checking, waiting.
failures=()
checks=0

step() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

# tell STORY: runs a story; what it breaks costs it alone.
tell() {
    local start=$SECONDS
    printf '\n== %s: %s\n' "$suite" "$1"
    story=$1
    # shellcheck source=/dev/null
    . "$here/stories/$1.sh"
    "story_$1" || fail "the story ended early"
    step "$1 took $((SECONDS - start)) s"
}

pass() { checks=$((checks + 1)); printf 'ok    %s\n' "$*"; }

# fail WHAT [DETAILS]: says it, with what was seen, and goes on.
fail() {
    checks=$((checks + 1))
    failures+=("$suite: $story: $1")
    printf 'FAIL  %s\n' "$1"
    [ -z "${2:-}" ] || sed 's/^/      | /' <<<"$2"
    return 0
}

# equal WHAT GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:    $2"$'\n'"wanted: $3"; fi
}

# has WHAT TEXT PART, lacks WHAT TEXT PART
has() { case $2 in *"$3"*) pass "$1" ;; *) fail "$1" "wanted: $3"$'\n'"in:     $2" ;; esac; }
lacks() { case $2 in *"$3"*) fail "$1" "not wanted: $3"$'\n'"in:         $2" ;; *) pass "$1" ;; esac; }

# holds WHAT COMMAND…: the command must succeed.
holds() {
    local what=$1 seen
    shift
    if seen=$("$@" 2>&1); then pass "$what"; else fail "$what" "$*"$'\n'"$seen"; fi
}

# within SECONDS COMMAND…: waits until the command succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# comes WHAT SECONDS COMMAND…: the command must succeed in time.
comes() {
    local what=$1 time=$2 seen
    shift 2
    if within "$time" "$@"; then
        pass "$what"
    else
        seen=$("$@" 2>&1) || true
        fail "$what, within $time s" "$*"$'\n'"$seen"
    fi
}

verdict() {
    printf '\n'
    if [ ${#failures[@]} -gt 0 ]; then
        printf 'FAIL  %s\n' "${failures[@]}"
        step "${#failures[@]} of $checks checks failed"
        exit 1
    fi
    step "all $checks checks hold"
}
