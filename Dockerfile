# Images with git-certs. The default one has git, ssh and a shell, which GitLab needs. `distroless` has the program alone,
# which needs nothing else for https:// repositories.
#
#   docker build -t git-certs .
#   docker build -t git-certs --target prebuilt -f Dockerfile FOLDER
#   docker build -t git-certs --target distroless -f Dockerfile FOLDER
#
# The last two take FOLDER/git-certs: static, or made for Debian 12's C library or an older one.
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS tools
# What git has in Perl and for servers makes half of it.
# User 1001 is the one whose files GitHub's runners mount; these folders may be somebody else's checkout.
# hadolint ignore=SC2046
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
 && dpkg --purge --force-depends git-man liberror-perl perl \
      $(dpkg-query --show --showformat '${Package} ' 'libgdbm*' 'libperl5*' 'perl-modules-*') \
 && rm -rf /usr/lib/git-core/git-daemon /usr/lib/git-core/git-http-backend /usr/lib/git-core/git-http-push \
      /usr/lib/git-core/git-imap-send /usr/lib/git-core/git-shell /usr/lib/git-core/scalar \
      /usr/lib/*/gconv /usr/share/doc /usr/share/info /usr/share/locale /usr/share/man /var/cache/apt /var/lib/apt/lists/* /var/log/* \
 && git config --system --add safe.directory /work \
 && git config --system --add safe.directory /github/workspace \
 && useradd --create-home --uid 1001 git-certs \
 && install -d -o git-certs /work

# One layer, without what was removed.
FROM scratch AS runtime
# hadolint ignore=DL3067
COPY --from=tools / /
LABEL org.opencontainers.image.title="git-certs" \
      org.opencontainers.image.description="Keeps Let's Encrypt certificates in a git repository" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/git-certs/git-certs" \
      org.opencontainers.image.documentation="https://github.com/git-certs/git-certs/blob/main/docs/ci.md"
ENV PATH=/usr/local/bin:/usr/bin:/bin
WORKDIR /work
CMD ["git-certs", "--help"]

FROM runtime AS prebuilt
COPY --chmod=755 git-certs /usr/local/bin/git-certs
USER 1001:1001

# The program, the libraries that it is linked to (none, if it is static), and the few files that it looks for.
FROM tools AS files
COPY --chmod=755 git-certs /files/usr/local/bin/git-certs
# ldd fails where there is nothing to copy.
# hadolint ignore=DL4006
RUN install -d -m 1777 /files/tmp \
 && install -d /files/etc /files/work \
 && for library in $(ldd /files/usr/local/bin/git-certs | grep -o '/[^ ]*'); do cp --dereference --parents "$library" /files; done \
 && cp /etc/gitconfig /files/etc/ \
 && echo 'hosts: files dns' > /files/etc/nsswitch.conf \
 && grep git-certs /etc/passwd > /files/etc/passwd

FROM scratch AS distroless
COPY --from=files /files /
LABEL org.opencontainers.image.title="git-certs" \
      org.opencontainers.image.description="Keeps Let's Encrypt certificates in a git repository; the program alone" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/git-certs/git-certs" \
      org.opencontainers.image.documentation="https://github.com/git-certs/git-certs/blob/main/docs/ci.md"
ENV PATH=/usr/local/bin
WORKDIR /work
USER 1001:1001
CMD ["git-certs", "--help"]

FROM ${RUST} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# What `init` writes.
COPY examples examples
RUN cargo build --release --locked --bin git-certs

FROM runtime
COPY --from=build /src/target/release/git-certs /usr/local/bin/git-certs
USER 1001:1001
