#!/usr/bin/env bash
# ElasticMQ: the API of SQS at speed, with SQS's limits, from Maven's jars. Any keys, region us-east-1, account 000000000000; state is in memory.
# `elasticmq.sh 0 --install` only installs.
. "$(dirname "$0")/lib.sh"
need java
install() { maven_classpath "$1" "$here/elasticmq/pom.xml"; }
once "elasticmq-$(cksum <"$here/elasticmq/pom.xml" | cut -d' ' -f1)" install
[ "${2:-}" != --install ] || exit 0
port_free
data_folder
cat >"$data/elasticmq.conf" <<C
include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = $port, context-path = "" }
rest-sqs { enabled = true, bind-port = $port, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
aws { region = us-east-1, accountId = 000000000000 }
C
serve elasticmq "http://127.0.0.1:$port" -- java -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dconfig.file="$data/elasticmq.conf" -cp "$(cat "$dir/classpath.txt")" org.elasticmq.server.Main
