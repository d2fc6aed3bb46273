#!/usr/bin/env bash
# mc, MinIO's command line, built by Go from its module. It is no server:
# `mc.sh 0 --install` only installs; `mc.sh 0 --path` prints the folder of the program.
. "$(dirname "$0")/lib.sh"
version=v0.0.0-20250313080218-cf909e1063a9
install() { go_install "$1" "github.com/minio/mc@$version"; }
once "mc-$version" install
case "${2:-}" in
  --install) ;;
  --path) echo "$dir/bin" ;;
  *) die "expected --install or --path" ;;
esac
