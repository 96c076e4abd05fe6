# shellcheck shell=bash
# Apache Kafka: one KRaft node with a plain, an mTLS and a SASL/SCRAM-over-TLS listener. Sourced by services/up.

: "${state:?}" "${jars:?}" "${certs:?}"

kafka_tool() { java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$jars/kafka/*" "$@"; }

# kafka_properties PLAIN CONTROLLER MTLS SCRAM prints the broker's configuration for these ports. Small segments and
# buffers, since the logs are small; one replica of everything, since there is one broker.
kafka_properties() {
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2,MTLS://127.0.0.1:$3,SCRAM://127.0.0.1:$4
advertised.listeners=PLAINTEXT://127.0.0.1:$1,MTLS://127.0.0.1:$3,SCRAM://127.0.0.1:$4
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MTLS:SSL,SCRAM:SASL_SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$certs/broker-all.pem
ssl.truststore.type=PEM
ssl.truststore.location=$certs/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.scram.ssl.client.auth=none
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=$state/kafka/data
log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=33554432
num.partitions=12
delete.topic.enable=true
auto.create.topics.enable=false
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
}

# kafka_ready asks what a client would: do the broker's topics list, and do both TLS listeners show the certificate?
kafka_ready() {
  local plain mtls scram port _
  read -r plain _ mtls scram <"$state/kafka.ports"
  grep -q 'Kafka Server started' "$state/kafka.log" || return 1
  for port in "$mtls" "$scram"; do
    openssl s_client -connect "127.0.0.1:$port" -CAfile "$certs/ca.pem" -cert "$certs/client.pem" -key "$certs/client.key" \
      -verify_ip 127.0.0.1 -verify_return_error </dev/null || return 1
  done
  timeout 20 java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$jars/kafka/*" \
    org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$plain" --list
}

# start_kafka starts the broker on the data it had, or on fresh ones. await_kafka waits for it.
start_kafka() {
  local config=$state/kafka/server.properties
  mkdir -p "$state/kafka"
  # shellcheck disable=SC2046 # four ports, four words
  kafka_properties $(ports kafka 4) >"$config"
  if [ ! -e "$state/kafka/data/meta.properties" ]; then
    kafka_tool kafka.tools.StorageTool format -t "$(kafka_tool kafka.tools.StorageTool random-uuid)" -c "$config" \
      --add-scram "SCRAM-SHA-512=[name=webcheck,password=$(cat "$state/password")]" >"$state/kafka.log" 2>&1 ||
      { report kafka; die "kafka's storage could not be formatted"; }
  fi
  start kafka "kafka.Kafka $config" \
    java -Xmx768m -Dorg.apache.logging.log4j.level=INFO -cp "$jars/kafka/*" kafka.Kafka "$config"
}

await_kafka() { await kafka 120 kafka_ready; }
