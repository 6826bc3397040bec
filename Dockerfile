# A small image with git-certs, git and ssh; GitLab needs the shell.
#
# docker build -t git-certs .
# With a binary of your own (glibc 2.36 or older) as `git-certs` beside this file, without Rust:
# docker build -t git-certs --build-arg BINARY=prebuilt .
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim
ARG BINARY=build

FROM ${RUST} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --release --locked \
 && cp target/release/git-certs /git-certs

FROM scratch AS prebuilt
COPY git-certs /git-certs

FROM ${BINARY} AS binary

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 git-certs
COPY --from=binary /git-certs /usr/local/bin/git-certs
USER git-certs
WORKDIR /home/git-certs
LABEL org.opencontainers.image.title="git-certs" \
      org.opencontainers.image.description="Keeps Let's Encrypt certificates in a git repository" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/git-certs/git-certs"
CMD ["git-certs", "--help"]
