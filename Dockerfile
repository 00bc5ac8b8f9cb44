# Trilog as a single static executable, and an image of that executable and nothing else: there is no shell, no library
# and no package in it that could be out of date. Plain enough for every builder: no BuildKit feature is needed.

FROM rust:1-slim-bookworm AS dependencies
WORKDIR /src

# The allocator is built by make, which this image lacks.
RUN command -v make || { apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*; }

# Dependencies come first, built for empty crates: they last until a manifest or the lock file changes. The target is
# named, so that the flags, which link the C library in, do not reach build scripts and macros. A test that builds the
# image may do with less optimization.
ARG OPT_LEVEL=3
ARG LTO=false
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_OPT_LEVEL=$OPT_LEVEL CARGO_PROFILE_RELEASE_LTO=$LTO
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY broker/Cargo.toml broker/
COPY cli/Cargo.toml cli/
COPY client/Cargo.toml client/
COPY cluster/Cargo.toml cluster/
COPY protocol/Cargo.toml protocol/
COPY storage/Cargo.toml storage/
COPY tests/Cargo.toml tests/
RUN mkdir -p broker/src cli/src client/src cluster/src protocol/src storage/src storage/benches tests/src/bin/client_suite tests/src/bin/differences tests/src/bin/secured_suite \
 && touch cli/src/lib.rs client/src/lib.rs cluster/src/lib.rs protocol/src/lib.rs storage/src/lib.rs storage/benches/commit.rs storage/benches/opening.rs tests/src/lib.rs \
 && touch tests/src/bin/client_suite/main.rs tests/src/bin/differences/main.rs tests/src/bin/secured_suite/main.rs tests/src/bin/failover.rs tests/src/bin/hostile.rs tests/src/bin/nemesis.rs \
 && echo 'fn main() {}' > broker/src/main.rs \
 && cargo build --release --locked -p trilog --target "$(rustc --print host-tuple)"

FROM dependencies AS build
# The sources are older than what was just built from the empty ones, and cargo goes by time. Names of functions stay in
# the executable for backtraces; what the libraries of C and Rust have of debug information does not.
COPY . .
RUN touch broker/src/main.rs cli/src/lib.rs client/src/lib.rs cluster/src/lib.rs protocol/src/lib.rs storage/src/lib.rs \
 && cargo build --release --locked -p trilog --target "$(rustc --print host-tuple)" \
 && mkdir -p /image/usr/local/bin /image/etc /data \
 && strip --strip-debug -o /image/usr/local/bin/trilog "target/$(rustc --print host-tuple)/release/trilog" \
 && echo 'trilog:x:10001:10001::/var/lib/trilog:/usr/local/bin/trilog' > /image/etc/passwd \
 && echo 'hosts: files dns' > /image/etc/nsswitch.conf

FROM scratch
COPY --from=build /image/ /
# A volume that is mounted here for the first time takes over the owner.
COPY --from=build --chown=10001:10001 /data/ /var/lib/trilog/
COPY --from=build --chown=10001:10001 /data/ /run/trilog/
USER 10001:10001
ENV TRILOG_DATA_DIR=/var/lib/trilog/data
VOLUME /var/lib/trilog
# Without a shell in between: the node is process 1 and receives SIGTERM itself.
ENTRYPOINT ["/usr/local/bin/trilog"]
CMD ["serve"]
