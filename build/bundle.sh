#!/usr/bin/env bash
# Builds dist/voicegw-sidecar, the one-file executable with the MCP server in it, and self-tests it:
#   bash build/bundle.sh [--python PYTHON] [--with otlp | --without mcp]
# With otlp it is dist/with-otlp/voicegw-sidecar, without mcp dist/without-mcp/voicegw-sidecar; each is built from an
# environment of its own, which has those extras and no others.
set -euo pipefail

usage="bash build/bundle.sh [--python PYTHON] [--with otlp | --without mcp]"
fail() { echo "bundle: $1" >&2; exit 1; }

python=python3 extras=(mcp) variant=
while [ $# -gt 0 ]; do
  case "$1" in
    --python) python=${2:?bundle: --python needs an interpreter} ;;
    --with)
      [ "${2:-}" = otlp ] || fail "no extra '${2:-}' to add; there is otlp"
      [ -z "$variant" ] || fail "one of --with and --without, once; expected: $usage"
      extras+=(otlp) variant=with-otlp ;;
    --without)
      [ "${2:-}" = mcp ] || fail "no extra '${2:-}' to leave out; there is mcp"
      [ -z "$variant" ] || fail "one of --with and --without, once; expected: $usage"
      extras=() variant=without-mcp ;;
    *) fail "found '$1', expected: $usage" ;;
  esac
  shift 2
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v "$python" >/dev/null || fail "no interpreter '$python'; name another with --python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than Python 3.11"
for tool in strip objdump; do
  command -v "$tool" >/dev/null || fail "no program '$tool'; install binutils"
done

mkdir -p .cache
exec {lock}> .cache/bundle.lock
flock "$lock"

venv=.cache/bundle-venv${variant:+-$variant} dist=dist${variant:+/$variant}
wanted=$("$python" -c '
import hashlib, sys, tomllib
text = tomllib.load(open("pyproject.toml", "rb"))
extras = text["project"]["optional-dependencies"]
needs = [text["build-system"], text["project"]["dependencies"], [extras[name] for name in sys.argv[1:]]]
print(hashlib.sha256(repr([sys.version, sys.base_prefix, needs]).encode()).hexdigest())
' build "${extras[@]}")
if [[ ! -f static/vendor/htmx.min.js || "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]]; then
  # clean: PyInstaller takes along whatever optional package it finds installed
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "cannot make a virtual environment with $python"
  # installing builds a wheel, and that copies htmx to static/vendor; then only the checkout's own code is left
  names=$(IFS=,; echo "build${extras[*]:+,${extras[*]}}")
  "$venv/bin/pip" install -qq --disable-pip-version-check ".[$names]" || fail "pip could not install '.[$names]'"
  "$venv/bin/pip" uninstall -qq --yes voicegw-sidecar
  [[ -f static/vendor/htmx.min.js ]] || fail "the build hook did not copy htmx to static/vendor"
  echo "$wanted" > "$venv/wanted"
fi

VOICEGW_EXTRAS="${extras[*]}" "$venv/bin/pyinstaller" --workpath ".cache/pyinstaller${variant:+-$variant}" \
  --distpath "$dist" --noconfirm --log-level ERROR voicegw.spec || fail "PyInstaller failed; its words are above"
cp .cache/THIRD_PARTY_NOTICES.txt "$dist/"
echo "bundle: $dist/voicegw-sidecar, $(($(stat -c %s "$dist/voicegw-sidecar") / 1000)) kB"
"$venv/bin/python" build/selftest.py "$dist/voicegw-sidecar" || fail "the executable failed its self-test"
