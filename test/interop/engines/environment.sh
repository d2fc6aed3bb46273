# Sourced by the scripts beside it: where the engines are installed, and how to install them once.
#
# TIDEWATER_CACHE    outside the clone, so that a later run finds what an earlier one installed
# TIDEWATER_CATALOG  the catalog's name, which is also the value of iceberg_tables.catalog_name
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TIDEWATER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidewater}/engines
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
export TIDEWATER_CATALOG=${TIDEWATER_CATALOG:-tidewater}
export TZ=UTC PYTHONDONTWRITEBYTECODE=1

# once NAME FILE COMMAND…: builds $cache/NAME by the command, unless it was already built from this very FILE.
# One process at a time; an interrupted build leaves no stamp and is begun again from nothing.
once() {
  local name=$1 stamp=$cache/$1.stamp wanted
  wanted=$(cksum <"$2")
  shift 2
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  (
    flock 9
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit
    rm -rf "${cache:?}/$name" "$stamp"
    "$@" >&2
    echo "$wanted" >"$stamp"
  ) 9>"$cache/$name.lock"
}

# build_venv NAME REQUIREMENTS WHAT
build_venv() {
  local python
  python=$(command -v python3.11 || command -v python3) || { echo "engines: python3 is needed; install python3.11 and its venv module" >&2; return 1; }
  echo "engines: installing $3 from PyPI into $cache/$1"
  "$python" -m venv "$cache/$1"
  "$cache/$1/bin/pip" install --quiet --disable-pip-version-check --no-input --requirement "$2"
}

# build_jars NAME POM WHAT
build_jars() {
  echo "engines: installing $3 from Maven into $cache/$1"
  mvn --quiet --batch-mode --file "$2" "-Dmaven.repo.local=$cache/maven" \
    -DincludeScope=runtime "-DoutputDirectory=$cache/$1" dependency:copy-dependencies
}

install_python() { once python "$here/requirements.txt" build_venv python "$here/requirements.txt" "Spark and PyIceberg (about 1 GB, a few minutes)"; }
install_boto3() { once boto3 "$here/boto3/requirements.txt" build_venv boto3 "$here/boto3/requirements.txt" boto3; }
# An environment of its own: it wants another botocore.
install_aws_cli() { once aws-cli "$here/aws-cli/requirements.txt" build_venv aws-cli "$here/aws-cli/requirements.txt" "the AWS CLI"; }
install_jars() { once jars "$here/pom.xml" build_jars jars "$here/pom.xml" "the Iceberg runtime for Spark and the SQLite driver"; }
install_aws_jars() { once aws-jars "$here/aws/pom.xml" build_jars aws-jars "$here/aws/pom.xml" "Iceberg's classes for S3"; }
