# A small image with git-certs, git and ssh; GitLab needs the shell.
#
#   docker build -t git-certs .
#   docker build -t git-certs --target prebuilt --build-arg BINARY=git-certs FOLDER-WITH-THE-BINARY -f Dockerfile
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS runtime
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 git-certs
LABEL org.opencontainers.image.title="git-certs" \
      org.opencontainers.image.description="Keeps Let's Encrypt certificates in a git repository" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/git-certs/git-certs"
WORKDIR /home/git-certs
CMD ["git-certs", "--help"]

# With a binary of the build context, made for the base image's C library or an older one.
FROM runtime AS prebuilt
ARG BINARY=git-certs
COPY --chmod=755 ${BINARY} /usr/local/bin/git-certs
USER 1000:1000

FROM ${RUST} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --release --locked --bin git-certs

FROM runtime
COPY --from=build /src/target/release/git-certs /usr/local/bin/git-certs
USER 1000:1000
