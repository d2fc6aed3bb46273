#!/usr/bin/env bash
# moto: an emulator of S3, SQS, SNS, EventBridge and more, from PyPI. Any keys; one endpoint for all; state is in memory.
# `moto.sh 0 --install` only installs; `moto.sh 0 --python FILE ARGUMENT…` runs a program with its boto3.
. "$(dirname "$0")/lib.sh"
need python3
requirement='moto[server]==5.2.5'
install() { python3 -m venv "$1" && "$1/bin/python" -m pip install -q --disable-pip-version-check "$requirement"; }
once "moto-5.2.5" install
[ "${2:-}" != --install ] || exit 0
[ "${2:-}" != --python ] || exec "$dir/bin/python" "${@:3}"
port_free
data_folder
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
serve moto "http://127.0.0.1:$port" -- "$dir/bin/python" -m moto.server -H 127.0.0.1 -p "$port"
