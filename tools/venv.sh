#!/usr/bin/env bash
# Builds or refreshes .venv from constraints.txt. Called by the Makefile; needs only a Python with venv.
#
# An environment whose interpreter still runs, and which belongs to this folder, is brought up to
# date in place, so that work going on in it is not cut off; anything else is made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD
venv=$here/.venv
stamp=$venv/.ready

fresh() {
  [[ -x $venv/bin/onward && -f $stamp && $(<"$stamp") == "$here" ]] &&
    [[ ! pyproject.toml -nt $stamp && ! constraints.txt -nt $stamp ]]
}

# Two `make` at once must not install into one folder.
if command -v flock >/dev/null; then
  exec 9>"$here/.venv.lock"
  flock 9
fi
if fresh; then exit 0; fi

suits() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
    >/dev/null 2>&1 </dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
    if suits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  {
    echo "No suitable Python found. Tried: ${PYTHON:-python3.11, python3.12, python3}."
    echo "Needed: CPython 3.11 or 3.12 with its venv module (on Debian: the package python3-venv)."
    echo "Name one yourself with: make .venv PYTHON=/path/to/python3.11"
  } >&2
  return 1
}

# One short line for each package, instead of pip's several.
pip_install() {
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
    --constraint constraints.txt "$@" </dev/null 2>&1 |
    awk '/^Collecting / { sub(/[^A-Za-z0-9_.-].*/, "", $2); print "      " $2; fflush(); next }
         /^Installing collected/ { print "      … installing"; fflush(); next }
         /^ *(ERROR|error|WARNING)/ || failed { failed = failed || /ERROR|error/; print; fflush() }'
}

if [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$here" ]] && suits "$venv/bin/python"; then
  echo "==> .venv is older than pyproject.toml or constraints.txt: refreshing it"
else
  python=$(find_python)
  echo "==> .venv: making a fresh environment with $("$python" --version 2>&1) (a minute or two, once)"
  "$python" -m venv --clear "$venv"
fi
rm -f "$stamp"
echo "  1/3 pip"
pip_install pip
echo "  2/3 $(grep -c '==' constraints.txt) pinned packages"
pip_install --build-constraint constraints.txt --group dev
echo "  3/3 onward itself, editable"
pip_install --no-build-isolation --editable .
printf '%s\n' "$here" >"$stamp"
echo "==> .venv is ready"
