#!/usr/bin/env bash
# Generates the Python stubs of proto/onward_proto/**/*.proto into a folder laid out like proto/.
#   tools/proto.sh          writes beside the .proto files
#   tools/proto.sh --check  generates elsewhere and compares with what is committed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t sources < <(cd proto && find onward_proto -name '*.proto' | LC_ALL=C sort)
generated() { (cd "$1" && find onward_proto -name '*_pb2*.py*' -not -path '*/__pycache__/*' | LC_ALL=C sort); }

if [[ ${#sources[@]} -eq 0 ]]; then
  echo "proto: no .proto files, nothing to generate"
  exit 0
fi

generate_into() {
  PATH=$PWD/.venv/bin:$PATH .venv/bin/python -m grpc_tools.protoc --proto_path=proto \
    --python_out="$1" --mypy_out=quiet:"$1" \
    --grpc_python_out="$1" --mypy_grpc_out=quiet:"$1" "${sources[@]}"
  # A file that declares no service still gets an empty grpc stub: noise, and one import of grpc
  # where none is needed.
  local source
  for source in "${sources[@]}"; do
    if ! grep -qE '^service ' "proto/$source"; then
      rm -f "$1/${source%.proto}"_pb2_grpc.py "$1/${source%.proto}"_pb2_grpc.pyi
    fi
  done
}

case ${1-} in
  '')
    generate_into proto
    echo "proto: generated from ${#sources[@]} files"
    ;;
  --check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate_into "$fresh"
    stale=0
    while read -r file; do
      if ! diff -u --label "committed $file" --label "generated $file" \
        "proto/$file" "$fresh/$file" 2>&1; then stale=1; fi
    done < <({ generated proto; generated "$fresh"; } | LC_ALL=C sort -u)
    if [[ $stale -ne 0 ]]; then
      echo "proto: the committed stubs are not what the .proto files generate; run: make proto" >&2
      exit 1
    fi
    echo "proto: stubs are fresh"
    ;;
  *)
    echo "usage: tools/proto.sh [--check]" >&2
    exit 2
    ;;
esac
