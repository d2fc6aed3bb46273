#!/usr/bin/env bash
# mc, MinIO's command line, built by Go from its module. It is no server:
# `mc.sh 0 --install` builds it, which takes minutes; `mc.sh 0 --path` prints the folder of the program, or ends with 1 where it is not built.
. "$(dirname "$0")/lib.sh"
version=v0.0.0-20250313080218-cf909e1063a9
install() { go_install "$1" "github.com/minio/mc@$version"; }
case "${2:-}" in
  --install) once "mc-$version" install ;;
  --path)
    dir="$cache/mc-$version"
    [ -e "$dir/.complete" ] || die "mc is not built; mc.sh 0 --install builds it"
    echo "$dir/bin"
    ;;
  *) die "expected --install or --path" ;;
esac
