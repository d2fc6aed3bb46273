#!/usr/bin/env bash
# Apache Kafka: one broker that is its own controller, from Maven's jars. No keys, no TLS, unless KAFKA_SASL=1: then PORT wants
# SASL/PLAIN (user `alice`, password `alice-secret`) and the broker talks to itself beside it.
# CONTROLLER_PORT is the controller's port (default PORT+1), INNER_PORT the broker's own under SASL (default PORT+2).
# KAFKA_EXTRA adds lines to the properties. `kafka.sh 0 --install` only installs.
. "$(dirname "$0")/lib.sh"
need java
install() { maven_classpath "$1" "$here/kafka/pom.xml"; }
once "kafka-$(cksum <"$here/kafka/pom.xml" | cut -d' ' -f1)" install
[ "${2:-}" != --install ] || exit 0
port_free
data_folder
controller="${CONTROLLER_PORT:-$((port + 1))}"
inner="${INNER_PORT:-$((port + 2))}"
listeners="PLAINTEXT://127.0.0.1:$port"
security=""
if [ -n "${KAFKA_SASL:-}" ]; then
  listeners="SASL_PLAINTEXT://127.0.0.1:$port,PLAINTEXT://127.0.0.1:$inner"
  jaas='org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";'
  security="sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=$jaas"
fi
cat >"$data/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=$listeners,CONTROLLER://127.0.0.1:$controller
advertised.listeners=$listeners,CONTROLLER://127.0.0.1:$controller
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
$security
log.dirs=$data/logs
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.initial.task.delay.ms=100
log.retention.check.interval.ms=500
log.cleaner.backoff.ms=200
file.delete.delay.ms=100
auto.create.topics.enable=false
${KAFKA_EXTRA:-}
P
run=(java -Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
  -Dlog4j2.level=WARN -cp "$(cat "$dir/classpath.txt")")
[ -e "$data/logs/meta.properties" ] ||
  "${run[@]}" kafka.tools.StorageTool format --standalone -t AAAAAAAAAAAAAAAAAAAAAA -c "$data/server.properties" >&2
serve kafka "127.0.0.1:$port" -- "${run[@]}" kafka.Kafka "$data/server.properties"
