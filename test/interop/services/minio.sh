#!/usr/bin/env bash
# MinIO: S3 with versions, tags, conditional writes, notifications, built by Go from its module. Keys: minioadmin / minioadmin.
# Notification targets are environment variables and must be listening when a bucket is configured:
#   MINIO_NOTIFY_WEBHOOK_ENABLE_T1=on MINIO_NOTIFY_WEBHOOK_ENDPOINT_T1=http://127.0.0.1:9999/hook
#     -> arn:minio:sqs:us-east-1:T1:webhook
#   MINIO_NOTIFY_KAFKA_ENABLE_K1=on MINIO_NOTIFY_KAFKA_BROKERS_K1=127.0.0.1:9092 MINIO_NOTIFY_KAFKA_TOPIC_K1=objects
#     -> arn:minio:sqs:us-east-1:K1:kafka
# `minio.sh 0 --install` only installs.
. "$(dirname "$0")/lib.sh"
version=v0.0.0-20260212201848-7aac2a2c5b7c
install() { go_install "$1" "github.com/minio/minio@$version"; }
once "minio-$version" install
[ "${2:-}" != --install ] || exit 0
port_free
data_folder
export MINIO_ROOT_USER="${MINIO_ROOT_USER:-minioadmin}" MINIO_ROOT_PASSWORD="${MINIO_ROOT_PASSWORD:-minioadmin}"
export MINIO_REGION="${MINIO_REGION-us-east-1}" MINIO_UPDATE=off MINIO_BROWSER=off
export MINIO_CONFIG_ENV_FILE='' GOMAXPROCS="${GOMAXPROCS:-2}"
# Its port answers before it takes requests.
ready() {
  local line=''
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET /minio/health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
  read -r -t 2 line <&3 || true
  exec 3<&-
  [[ "$line" == *' 200 '* ]]
}
serve minio "http://127.0.0.1:$port" -- \
  "$dir/bin/minio" server --quiet --address "127.0.0.1:$port" "$data"
