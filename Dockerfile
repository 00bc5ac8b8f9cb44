# syntax=docker/dockerfile:1
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep dependencies compiled between builds; the binary is copied out, since a cache is no part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p trilog && cp target/release/trilog /usr/local/bin/trilog

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/trilog --create-home trilog
COPY --from=build /usr/local/bin/trilog /usr/local/bin/trilog
USER trilog
ENV TRILOG_DATA_DIR=/var/lib/trilog/data
VOLUME /var/lib/trilog
ENTRYPOINT ["trilog"]
CMD ["serve"]
