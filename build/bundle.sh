#!/usr/bin/env bash
# Builds dist/voicegw-sidecar, the one-file executable, and self-tests it:
#   bash build/bundle.sh [--python PYTHON] [--with EXTRA]
# With an extra (otlp) it is built from an environment that has it, as dist/with-EXTRA/voicegw-sidecar.
set -euo pipefail

fail() { echo "bundle: $1" >&2; exit 1; }

python=python3 extra=
while [ $# -gt 0 ]; do
  case "$1" in
    --python) python=${2:?bundle: --python needs an interpreter} ;;
    --with) extra=${2:?bundle: --with needs the name of an extra} ;;
    *) fail "found '$1', expected: bash build/bundle.sh [--python PYTHON] [--with EXTRA]" ;;
  esac
  shift 2
done
case "$extra" in "" | otlp) ;; *) fail "no extra '$extra'; there is otlp" ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v "$python" >/dev/null || fail "no interpreter '$python'; name another with --python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than Python 3.11"
for tool in strip objdump; do
  command -v "$tool" >/dev/null || fail "no program '$tool'; install binutils"
done

mkdir -p .cache
exec {lock}> .cache/bundle.lock
flock "$lock"

venv=.cache/bundle-venv${extra:+-$extra} dist=dist${extra:+/with-$extra}
wanted=$("$python" -c '
import hashlib, sys, tomllib
text = tomllib.load(open("pyproject.toml", "rb"))
extras = text["project"]["optional-dependencies"]
needs = [text["build-system"], text["project"]["dependencies"], [extras[name] for name in sys.argv[1:] if name]]
print(hashlib.sha256(repr([sys.version, sys.base_prefix, needs]).encode()).hexdigest())
' build "$extra")
if [[ ! -f static/vendor/htmx.min.js || "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]]; then
  # clean: PyInstaller takes along whatever optional package it finds installed
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "cannot make a virtual environment with $python"
  # installing builds a wheel, and that copies htmx to static/vendor; then only the checkout's own code is left
  "$venv/bin/pip" install -qq --disable-pip-version-check ".[build${extra:+,$extra}]" \
    || fail "pip could not install '.[build${extra:+,$extra}]'"
  "$venv/bin/pip" uninstall -qq --yes voicegw-sidecar
  [[ -f static/vendor/htmx.min.js ]] || fail "the build hook did not copy htmx to static/vendor"
  echo "$wanted" > "$venv/wanted"
fi

VOICEGW_EXTRA=$extra "$venv/bin/pyinstaller" --workpath ".cache/pyinstaller${extra:+-$extra}" --distpath "$dist" \
  --noconfirm --log-level ERROR voicegw.spec || fail "PyInstaller failed; its words are above"
cp .cache/THIRD_PARTY_NOTICES.txt "$dist/"
echo "bundle: $dist/voicegw-sidecar, $(($(stat -c %s "$dist/voicegw-sidecar") / 1000)) kB"
"$venv/bin/python" build/selftest.py "$dist/voicegw-sidecar" || fail "the executable failed its self-test"
