#!/usr/bin/env bash
# Runs the one-file executable in a bare Debian root:  bash build/bare_root.sh dist/voicegw-sidecar
#
# debootstrap makes the root; there is no Python in it and there are no certificates. The executable passes the
# self-test in there as root, as a user without a name or a home, and as that user with everything read-only but one
# tmpfs; then temporary directories that do not do are tried. The root is kept in .cache/ for the next run: remove
# it there to have it made again. All of it happens in mount and process namespaces of its own, which end with this
# script however it ends.
set -euo pipefail

suite=bookworm
user=10001 # has no line in /etc/passwd, like the user of a container
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kept=$checkout/.cache/bare-root-$suite.tar

fail() { echo "bare_root: $1" >&2; exit "${2:-1}"; }

# --- outside: what is needed is there, and what is made is removed

outside() {
    [[ $# -eq 1 ]] || fail "expected one executable, found $# words: bash build/bare_root.sh dist/voicegw-sidecar" 2
    [[ -f $1 && -x $1 ]] || fail "$1 is no executable file; build it with: bash build/bundle.sh" 2
    [[ $(id -u) -eq 0 ]] || fail "only root can make a root folder and enter it; run it as root" 2
    [[ -f $kept ]] || command -v debootstrap > /dev/null || fail "no program debootstrap; install Debian's package of that name" 2
    unshare --mount --pid --fork true 2> /dev/null || fail "this machine does not allow namespaces (unshare)" 2

    work=$(mktemp -d "${TMPDIR:-/tmp}/bare-root-XXXXXX")
    inside=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # in the background: bash hears a signal while it waits, not while it runs a program
    setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --mount-proc --kill-child \
        bash "${BASH_SOURCE[0]}" --inside "$(realpath "$1")" "$work" &
    inside=$!
    local code=0
    wait "$inside" || code=$?
    inside=
    exit "$code"
}

clean_up() { # the mounts are gone with the namespace: nothing of this machine can be below the folder
    if [[ -n $inside ]]; then
        # its first process: the kernel ends all others before that one is over. Before there is one, what makes it
        local first
        first=$(cat "/proc/$inside/task/$inside/children" 2> /dev/null) || true
        kill -KILL "${first:-$inside}" 2> /dev/null || true
        wait "$inside" 2> /dev/null || true
    fi
    rm -rf --one-file-system "$work"
}

# --- inside: the root, and what is tried in it

inside() {
    executable=$1 work=$2 root=$2/root shared=$2/shared
    make_root
    cp "$executable" "$root/usr/local/bin/voicegw-sidecar"
    mkdir -p "$shared" "$root$shared"
    mount --bind "$root" "$root" # a mount of its own can be made read-only
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    [[ -z $(find "$root/usr/bin" "$root/usr/local/bin" -name 'python*') && ! -e $root/etc/ssl/certs ]] \
        || fail "the root has Python or certificates in it, so this would prove nothing; remove $kept"
    echo "bare_root: Debian $(cat "$root/etc/debian_version"), $(du -sm --one-file-system "$root" | cut -f1) MB, no Python, no certificates"

    wrapper as-root 'exec chroot'
    # what the self-test made for the command, by then, belongs to root
    wrapper as-user "chown -R $user:$user . && exec chroot --userspec=$user:$user --groups="
    room
    passes "as root" as-root
    room
    passes "as a user without a name" as-user
    mount -o remount,bind,ro "$root"
    ! touch "$root/written" 2> /dev/null || fail "the root could be written to after it was made read-only"
    room exec,size=128m
    passes "as that user, all read-only but a tmpfs of 128 MB" as-user

    room noexec,size=128m
    refuses "a noexec tmpfs" 127 'failed to map segment from shared object'
    room exec,size=16m
    refuses "a tmpfs of 16 MB" 255 'Failed to extract'
    room exec,size=60m
    lacks "a tmpfs of 60 MB" 'sound.zip cannot be unpacked: No space left on device; its folder needs 100 MB in all'
}

make_root() {
    local log=$work/debootstrap.log
    mkdir "$root"
    if [[ -f $kept ]]; then
        tar -C "$root" -xpf "$kept" && return
        fail "cannot unpack $kept; remove it to have the root made again"
    fi
    # the machine's own mirror, where it has one of this suite; else debootstrap knows one
    local mirror
    # shellcheck disable=SC2016 # apt's own placeholder
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" 'Component: main' 2> /dev/null | head -n 1) || true
    # shellcheck disable=SC2086 # no mirror is no word
    debootstrap --variant=minbase "$suite" "$root" ${mirror:-} > "$log" 2>&1 \
        || fail "debootstrap: $(tail -n 1 "$log" | sed -E 's#[a-z]+://[^ ]*#<mirror>#g')"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    mkdir -p "${kept%/*}"
    tar -C "$root" --one-file-system -cf "$work/root.tar" .
    mv "$work/root.tar" "$kept.$$" && mv "$kept.$$" "$kept"
}

wrapper() { # wrapper NAME ENTER: a command that is the executable in the root, in the folder it is started in
    # only execs: a signal to the command reaches the executable; chroot leads to /, env back to the folder
    # shellcheck disable=SC2016 # the wrapper's own variables
    printf '#!/bin/sh\n%s "%s" env -C "$PWD" -u HOME /usr/local/bin/voicegw-sidecar "$@"\n' "$2" "$root" > "$work/$1"
    chmod 755 "$work/$1"
}

room() { # room [OPTIONS]: the temporary directory, empty, at the same path inside and outside; of a tmpfs or the disk
    ! mountpoint -q "$root$shared" || umount "$root$shared"
    ! mountpoint -q "$shared" || umount "$shared"
    [[ $# -eq 0 ]] || mount -t tmpfs -o "nosuid,nodev,mode=1777,$1" tmpfs "$shared"
    chmod 1777 "$shared"
    mount --bind "$shared" "$root$shared"
}

selftest() { # selftest WRAPPER: with nothing set but where programs and temporary files are
    env -i PATH="$PATH" TMPDIR="$shared" "$(command -v "${PYTHON:-python3}")" "$checkout/build/selftest.py" "$work/$1" > "$work/log" 2>&1
}

passes() { # passes HOW WRAPPER
    selftest "$2" || { cat "$work/log" >&2; fail "$1: the self-test failed; its words are above"; }
    echo "bare_root: $1: $(sed -n 's/^selftest: //p' "$work/log")"
}

refuses() { # refuses WHAT CODE WORDS: with such a temporary directory it does not start, and says why
    local code=0
    env -i PATH="$PATH" TMPDIR="$shared" chroot "$root" /usr/local/bin/voicegw-sidecar --version > "$work/log" 2>&1 || code=$?
    if [[ $code -ne $2 ]] || ! grep -qF -- "$3" "$work/log"; then
        fail "$1: expected exit code $2 and '$3', found $code and '$(tr '\n' ' ' < "$work/log")'"
    fi
    echo "bare_root: $1: exit code $code, '$3'"
}

lacks() { # lacks WHAT WORDS: it starts, and says what has no room
    ! selftest as-user || fail "$1: the self-test passed, so this shows nothing"
    grep -qF -- "$2" "$work/log" || fail "$1: expected '$2', found '$(tail -n 1 "$work/log")'"
    echo "bare_root: $1: '$2'"
}

if [[ ${1-} == --inside ]]; then
    shift
    inside "$@"
else
    outside "$@"
fi
