#!/usr/bin/env bash
# Everything that must hold before a change lands, on a machine that has only Python >= 3.11 and the
# package registries: makes its environment, then runs each stage and prints how long it took.
set -euo pipefail
cd "$(dirname "$0")/.."

stages=()
stage() { # stage NAME COMMAND...: run it, note its seconds
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if ! "$@"; then
        echo "check: stage '$name' failed after $((SECONDS - start)) s" >&2
        exit 1
    fi
    stages+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

environment() {
    local wanted
    wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
    if [ "$(cat .cache/check-venv/.wanted 2>/dev/null)" != "$wanted" ]; then
        rm -rf .cache/check-venv
        "${PYTHON:-python3}" -m venv .cache/check-venv
        .cache/check-venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
        echo "$wanted" > .cache/check-venv/.wanted
    fi
    [ -f static/vendor/htmx.min.js ] || .cache/check-venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
}

programs() { # a browser for the pages, a voice for speech-to-text, what an executable is built with, where it is tried, and what documents ask by
    local missing=()
    command -v chromium > /dev/null || missing+=(chromium)
    command -v espeak-ng > /dev/null || missing+=(espeak-ng)
    command -v objdump > /dev/null || missing+=(binutils)
    command -v debootstrap > /dev/null || missing+=(debootstrap)
    command -v systemd-analyze > /dev/null || missing+=(systemd)
    command -v curl > /dev/null || missing+=(curl)
    [ ${#missing[@]} -eq 0 ] && return 0
    local become=()
    [ "$(id -u)" -eq 0 ] || become=(sudo)
    export DEBIAN_FRONTEND=noninteractive
    "${become[@]}" apt-get -qq update > /dev/null
    "${become[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" > /dev/null
}

lint() {
    "$bin/ruff" check . && "$bin/ruff" format --check . && "$bin/codespell" \
        && ! git ls-files 2> /dev/null | grep -E '\.min\.(js|css)$'
}

coverage() { # the core has no IO: nothing of it may go untried
    "$bin/coverage" run --data-file .cache/coverage -m pytest tests/wire tests/dialects tests/providers tests/meter \
        tests/ledger tests/routing tests/stitching tests/test_estimate.py \
        && "$bin/coverage" combine --quiet --data-file .cache/coverage .cache/coverage.* \
        && "$bin/coverage" report --data-file .cache/coverage --fail-under 98 --include \
        'voicegw_sidecar/wire/*,voicegw_sidecar/dialects/*,voicegw_sidecar/providers/*,voicegw_sidecar/meter/*,voicegw_sidecar/ledger/*,voicegw_sidecar/routing/*,voicegw_sidecar/stitching/*,voicegw_sidecar/events.py,voicegw_sidecar/estimate.py'
}

clients() { # real clients and agents wait for retries and for speech most of the time
    "$bin/python" -m pytest tests/clients tests/sessions tests/inference tests/examples
}

executable() { # built, tried by itself, by real clients and in a bare root
    "$bin/python" -m pytest tests/build
}

one_by_one() { # one_by_one NAME...: these parts, each with its output and its verdict in files
    local part verdict
    for part in "$@"; do
        verdict=0
        "$part" > ".cache/$part.txt" 2>&1 || verdict=$?
        echo "$verdict" > ".cache/$part.verdict"
    done
}

joined() { # joined NAME: wait for what runs beside the tests; a part's output, and its verdict
    wait "$lane" || true
    cat ".cache/$1.txt"
    return "$(cat ".cache/$1.verdict")"
}

mkdir -p .cache
bin=.cache/check-venv/bin
stage "environment" environment
stage "programs" programs
stage "lint" lint
stage "types" "$bin/mypy"
stage "layers" "$bin/lint-imports" --no-cache
rm -f .cache/*.verdict
set -m # a process group of its own, which ends with the check
# one after the other and beside the tests, so that two processors have two things to do: clients have time limits of
# their own, and repeat what takes longer on a machine that is busier than theirs
one_by_one clients executable coverage & lane=$!
set +m
trap 'kill -- "-$lane" 2> /dev/null || true' EXIT # a trap that fails would fail the check
stage "tests" "$bin/python" -m pytest --ignore tests/wire --ignore tests/dialects --ignore tests/providers --ignore tests/meter \
    --ignore tests/ledger --ignore tests/routing --ignore tests/stitching --ignore tests/test_estimate.py \
    --ignore tests/clients --ignore tests/sessions --ignore tests/inference --ignore tests/examples \
    --ignore tests/build "$@"
stage "core and its coverage, beside the tests" joined coverage
stage "clients, beside the tests" joined clients
stage "the executable, beside the tests" joined executable
echo
printf '%s\n' "${stages[@]}"
printf '%5d s  in all\n' "$SECONDS"
