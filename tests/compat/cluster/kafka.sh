# shellcheck shell=bash disable=SC2034,SC2154 # What is set and read here is the business of the runner, too.
# Three nodes of Apache Kafka, by tests/compare/kafka/kafka; sourced by tests/compat/run. What passes here is known to
# ask for Kafka's behaviour and for nothing else.

kafka=$top/tests/compare/kafka/kafka
# Above the ports of the nodes of other tests, and below those of outgoing connections.
export KAFKA_PORT=${KAFKA_PORT:-30092} KAFKA_CONTROLLER_PORT=${KAFKA_CONTROLLER_PORT:-31092}
kafka_tool() { "$kafka" run "org.apache.kafka.tools.$1" --bootstrap-server "$COMPAT_BOOTSTRAP" "${@:2}"; }

cluster_needs() {
  command -v java >/dev/null || echo "Java 17 or later (apt-get install default-jdk-headless)"
  command -v mvn >/dev/null || echo "Maven (apt-get install maven)"
}

cluster_prepare() { "$kafka" fetch; }

cluster_start() { # LOG
  local first=$KAFKA_PORT
  COMPAT_BOOTSTRAP=127.0.0.1:$first,127.0.0.1:$((first + 1)),127.0.0.1:$((first + 2))
  KAFKA_SETTINGS=$(printf '%s\n' "${settings[@]}") "$kafka" start 3
  {
    local topic
    for topic in topic1 topic2; do
      kafka_tool TopicCommand --create --topic "$topic" --partitions 3 --replication-factor 3
    done
    # The first group of a fresh cluster waits until Kafka has made the topic for offsets; ours is not to be the first.
    kafka_tool consumer.ConsoleConsumer --topic topic1 --group first --timeout-ms 5000
  } >"$1" 2>&1
}

cluster_stop() {
  "$kafka" stop
  rm -rf "${KAFKA_HOME:-${TMPDIR:-/tmp}/kafka-peer}"/data*
}
