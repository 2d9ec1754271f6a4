#!/usr/bin/env bash
# Everything that `make check` demands. Runs all of it before it fails, so that one run shows all.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=.venv/bin
code=(node chaincode proto tests benchmarks tools)
failed=()

run() {
  local name=$1 started=$SECONDS
  shift
  echo "==> $name"
  if ! "$@"; then failed+=("$name"); fi
  if ((SECONDS - started > 5)); then echo "    ($((SECONDS - started)) s)"; fi
}

run "lint" "$bin/ruff" check --quiet "${code[@]}"
run "format" "$bin/ruff" format --check --quiet "${code[@]}"
run "types" "$bin/mypy" "${code[@]}"
run "import direction" "$bin/lint-imports" --no-cache --no-logo
run "spelling" "$bin/codespell"
run "pyproject" "$bin/validate-pyproject" pyproject.toml
run "stubs" tools/proto.sh --check

if ((${#failed[@]})); then
  printf 'check: failed:' >&2
  printf ' [%s]' "${failed[@]}" >&2
  echo >&2
  exit 1
fi
echo "check: all good"
