# shellcheck shell=bash disable=SC2034,SC2154 # What is set and read here is the business of the runner, too.
# Three nodes of Trilog, by `trilog dev`; sourced by tests/compat/run. The log is what dev and the nodes say.

# Made at start, as a user who gives them in a variable has them: one scenario of kafka-go begins with these.
start_topics=topic1:3:3,topic2:3:3
# Below the range from which outgoing connections get their ports; see tests/src/ports.rs.
first_port=12000
last_port=28000

trilog=
dev=

cluster_needs() {
  [ -n "${TRILOG_TEST_BINARY:-}" ] || command -v cargo >/dev/null || echo "cargo (https://rustup.rs)"
}

cluster_prepare() {
  trilog=${TRILOG_TEST_BINARY:-$target/release/trilog}
  [ -n "${TRILOG_TEST_BINARY:-}" ] || cargo build --release --manifest-path "$top/Cargo.toml" -p trilog
}

in_use() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first of three ports for clients, with those for peers 1000 above and for HTTP 2000 above.
free_port() {
  local port number
  while true; do
    port=$((first_port + (RANDOM * 32768 + RANDOM) % (last_port - first_port)))
    for number in 0 1 2 1000 1001 1002 2000 2001 2002; do
      ! in_use $((port + number)) || continue 2
    done
    echo "$port"
    return
  done
}

cluster_start() { # LOG
  local port deadline=$((SECONDS + 60))
  port=$(free_port)
  COMPAT_BOOTSTRAP=127.0.0.1:$port,127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2))
  COMPAT_METRICS=http://127.0.0.1:$((port + 2000))/metrics
  : >"$1"
  mkfifo "$COMPAT_RUN/commands"
  # Open for reading and writing: neither side waits for the other, and the end of a writer is not the end of input.
  exec 3<>"$COMPAT_RUN/commands"
  TRILOG_CREATE_TOPICS=$start_topics "$trilog" dev --base-port "$port" --data-dir "$COMPAT_RUN/data" \
    "${settings[@]/#/--set=}" <&3 >"$1" 2>&1 &
  dev=$!
  until grep -q '^ready' "$1"; do
    kill -0 "$dev" 2>/dev/null || { echo "trilog dev ended before it was ready" >>"$1"; return 1; }
    [ "$SECONDS" -lt "$deadline" ] || { echo "not ready after 60 s" >>"$1"; return 1; }
    sleep 0.05
  done
}

cluster_stop() {
  [ -n "$dev" ] || return 0
  kill -TERM "$dev" 2>/dev/null || true
  wait "$dev" || true
  dev=
  exec 3>&-
}
