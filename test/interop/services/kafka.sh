#!/usr/bin/env bash
# Apache Kafka: one broker that is its own controller, from Maven's jars. No keys and no TLS, unless KAFKA_PEM names a file with a
# private key and a certificate for localhost: then PORT wants TLS and SASL/PLAIN or SCRAM-SHA-512 (user `alice`, password
# `alice-secret`), and the broker talks to itself beside it, at INNER_PORT.
# CONTROLLER_PORT is the controller's port (default PORT+1), INNER_PORT default PORT+2. KAFKA_EXTRA adds lines to the properties.
# `kafka.sh 0 --install` only installs.
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
security="" users=()
if [ -n "${KAFKA_PEM:-}" ]; then
  listeners="SASL_SSL://localhost:$port,PLAINTEXT://127.0.0.1:$inner"
  security="sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"alice-secret\";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$KAFKA_PEM"
  users=(--add-scram 'SCRAM-SHA-512=[name=alice,password=alice-secret]')
fi
cat >"$data/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=$listeners,CONTROLLER://127.0.0.1:$controller
advertised.listeners=$listeners,CONTROLLER://127.0.0.1:$controller
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
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
auto.create.topics.enable=false
${KAFKA_EXTRA:-}
P
run=(java -Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
  -Dlog4j2.level=WARN -cp "$(cat "$dir/classpath.txt")")
[ -e "$data/logs/meta.properties" ] ||
  "${run[@]}" kafka.tools.StorageTool format --standalone -t AAAAAAAAAAAAAAAAAAAAAA "${users[@]}" -c "$data/server.properties" >&2
serve kafka "127.0.0.1:$port" -- "${run[@]}" kafka.Kafka "$data/server.properties"
