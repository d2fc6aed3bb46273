# Shared by the start scripts of this folder. Source it; do not run it.
#
# Contract of every start script:   NAME.sh PORT
#   - installs what it needs, once, in the folder `services` of TIDEWATER_CACHE (default ~/.cache/tidewater); a second start
#     finds it there and touches no network
#   - starts the server on 127.0.0.1:PORT, prints one line on standard output when it answers:
#       READY <name> <address> pid=<pid of the script> server=<pid of the server>
#   - runs until SIGTERM or SIGINT, then stops the server and removes its data
#   - DATA_DIR keeps the data instead; LOG_FILE takes the server's output instead of standard error
#   - exit status: 0 stopped on request, 1 could not start, 64 wrong use, else the server's own
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${TIDEWATER_CACHE:-$HOME/.cache/tidewater}/services"
mkdir -p "$cache"
ready_seconds="${READY_SECONDS:-120}"

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
port="${1:-}"
[[ "$port" =~ ^[0-9]+$ ]] || { say "usage: $(basename "$0") PORT"; exit 64; }
need() { command -v "$1" >/dev/null || die "expected '$1' on the PATH, found none; install it first"; }
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port_free() { ! port_open "$port" || die "expected port $port free, but something answers there; choose another"; }

# once KEY FUNCTION: runs FUNCTION on a new folder once, also among starts at the same time; sets dir to the folder of KEY.
once() {
  dir="$cache/$1"
  exec 9>"$cache/.lock"
  flock 9
  if [ ! -e "$dir/.complete" ]; then
    say "installing $1 (first start) ..."
    rm -rf "$dir.part" "$dir"
    mkdir -p "$dir.part"
    (set -e; "$2" "$dir.part") 9>&- >&2 || die "install of $1 failed"
    mv "$dir.part" "$dir"
    touch "$dir/.complete"
  fi
  exec 9>&-
}

# maven_classpath FOLDER POM: fetches what POM names and writes its classpath to FOLDER/classpath.txt.
maven_classpath() {
  need mvn
  local out
  # Quiet Maven still prints colour codes: its output is shown only when it fails.
  out="$(mvn -B -ntp -q -f "$2" -Dmaven.repo.local="$cache/m2" -Dmdep.outputFile="$1/classpath.txt" \
    -Dmdep.includeScope=runtime org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath 2>&1)" ||
    { printf '%s\n' "$out"; return 1; }
}

# go_install FOLDER MODULE@VERSION: builds a Go program into FOLDER/bin; the caches of the build, some 2 GB, are dropped.
go_install() {
  need go
  local build="$cache/go-build"
  mkdir -p "$1/bin" "$build"
  GOPATH="$build/path" GOCACHE="$build/cache" GOBIN="$1/bin" GOFLAGS='-modcacherw -buildvcs=false' \
    go install -trimpath -ldflags='-s -w' "$2"
  rm -rf "$build"
}

# data_folder: sets data to DATA_DIR, or to a temporary folder that is removed at the end.
temporary="" server="" stopping=""
data_folder() {
  trap cleanup EXIT
  if [ -n "${DATA_DIR:-}" ]; then
    mkdir -p "$DATA_DIR"
    data="$(cd "$DATA_DIR" && pwd)"
  else
    data="$(mktemp -d)"
    temporary="$data"
  fi
}
stop() { stopping=1; [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true; }
cleanup() {
  trap - EXIT
  if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
    kill -TERM "$server" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$server" 2>/dev/null || true
  fi
  [ -z "$temporary" ] || rm -rf "$temporary"
}

# ready: whether a server whose port answers is ready; a script may define its own.
ready() { true; }

# serve NAME ADDRESS -- COMMAND...: starts the server, waits until its port answers and it is ready, reports, waits for its end.
serve() {
  local name="$1" address="$2"
  shift 3
  port_free
  trap stop TERM INT
  if [ -n "${LOG_FILE:-}" ]; then "$@" >>"$LOG_FILE" 2>&1 & else "$@" >&2 & fi
  server=$!
  local end=$((SECONDS + ready_seconds))
  until port_open "$port" && ready; do
    [ -z "$stopping" ] || exit 0
    kill -0 "$server" 2>/dev/null || { server=""; die "$name ended before it was ready; see its log"; }
    [ "$SECONDS" -lt "$end" ] || die "$name did not answer on port $port within $ready_seconds s"
    sleep 0.1
  done
  printf 'READY %s %s pid=%s server=%s\n' "$name" "$address" "$$" "$server"
  local status=0
  while kill -0 "$server" 2>/dev/null; do wait "$server" && status=0 || status=$?; done
  server=""
  [ -n "$stopping" ] && exit 0 || exit "$status"
}
