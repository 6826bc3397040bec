#!/bin/sh
# What the release needs of a runner and cannot have in the lab: toolchains and registries. One script under many names; each knows
# the calls of release.yml, and refuses all others. What was done goes to DONE, what was made to MADE; LAUNCHER is what a build makes.
set -eu
call="${0##*/} $*"
# Not every job has them.
: "${TARGET=}" "${VERSION=}"

refuse() {
  echo "$call: $1" >&2
  exit 1
}

# Made in the registry, for all.
make() {
  mkdir -p "$MADE"
  : > "$MADE/$(echo "$1" | tr '/:' '__')"
}

has() {
  [ -e "$MADE/$(echo "$1" | tr '/:' '__')" ] || refuse "there is no $1"
}

# Made on this runner.
make_here() {
  make "$1 of $GITHUB_JOB $TARGET"
}

has_here() {
  has "$1 of $GITHUB_JOB $TARGET"
}

case $call in
  "sudo "*)
    exec "$@"
    ;;
  "apt-get update -q") ;;
  "apt-get install -y -q --no-install-recommends musl-tools") make_here musl-gcc ;;

  "rustup toolchain install 1.95 --profile minimal") make_here toolchain ;;
  "rustup toolchain install 1.95 --profile minimal --target $TARGET")
    make_here toolchain
    make_here "$TARGET"
    ;;
  "cargo +1.95 build --release --locked --target $TARGET")
    has_here "$TARGET"
    case $TARGET in *-musl) has_here musl-gcc ;; esac
    [ -f Cargo.lock ] || refuse "this is no package"
    mkdir -p "target/$TARGET/release"
    cp "$LAUNCHER" "target/$TARGET/release/git-certs"
    ;;
  "cargo install --locked --quiet cargo-cyclonedx@0.5.9") make_here cyclonedx ;;
  "cargo cyclonedx --quiet --format json --target $TARGET --override-filename git-certs-$TARGET.cdx")
    has_here cyclonedx
    echo '{"bomFormat": "CycloneDX"}' > "git-certs-$TARGET.cdx.json"
    ;;
  "cargo +1.95 publish --locked")
    has_here toolchain
    [ "$CARGO_REGISTRY_TOKEN" = token-of-the-registry ] || refuse "this is no token"
    [ -z "$(git status --porcelain)" ] || refuse "there are changes"
    ;;

  "docker login ghcr.io --username $GITHUB_ACTOR --password-stdin")
    read -r given
    [ "$given" = "$REGISTRY_TOKEN" ] || refuse "this is no token"
    make_here login
    ;;
  "docker build --target "*)
    # --target KIND --tag IMAGE --file Dockerfile --provenance=false --label VERSION --label REVISION FOLDER
    [ "$# $4 $6 $7 $8" = "13 --tag --file Dockerfile --provenance=false" ] || refuse "these are not the words"
    grep -q " AS $3\$" Dockerfile || refuse "the recipe has no $3"
    "${13}/git-certs" --version > /dev/null
    [ "${10} ${12}" = "org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$GITHUB_SHA" ] || refuse "these are not the labels"
    make_here "built $5"
    ;;
  "docker push --quiet "*)
    has_here login
    has_here "built $3"
    make "pushed $3"
    ;;
  "docker buildx imagetools create "*)
    has_here login
    shift 3
    while [ "$1" = --tag ]; do
      make "pushed $2"
      shift 2
    done
    for image in "$@"; do has "pushed $image"; done
    ;;
  "docker buildx imagetools inspect --format {{json .Manifest.Digest}} "*)
    has "pushed $6"
    printf '"sha256:%s"\n' "$(echo "$6" | sha256sum | cut -d ' ' -f 1)"
    exit
    ;;

  "go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3")
    mkdir -p "$HOME/go/bin"
    cp "$0" "$HOME/go/bin/cosign"
    ;;
  "go env GOPATH")
    echo "$HOME/go"
    exit
    ;;
  "cosign sign --yes "*@sha256:*) ;;
  *) refuse "this call is not known here" ;;
esac
echo "$call" >> "$DONE"
