# syntax=docker/dockerfile:1
# The image: the one binary on a base without a shell, for amd64 and arm64.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --tag … .
#
# This file has not been built yet: it was written without access to a container engine.

# The SBOM sees the final stage alone unless told otherwise, and in that there is one binary without a list of its crates.
# With this it sees Cargo.lock, which also has those of the tests.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

# On the builder's own processor, whatever the target's is: emulated, the build would take an hour.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
ARG TARGETARCH
# Otherwise rust-toolchain.toml would have rustup fetch clippy and rustfmt too.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# A compiler for the other processor, which ring's C and assembly need; Debian names processors as Docker does.
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) triple=x86_64-unknown-linux-gnu ;; \
        arm64) triple=aarch64-unknown-linux-gnu ;; \
        *) echo "not built for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    echo "$triple" > /triple; \
    rustup target add "$triple"; \
    if [ "$(dpkg --print-architecture)" != "$TARGETARCH" ]; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends "crossbuild-essential-$TARGETARCH"; \
        rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
    set -eu; \
    triple=$(cat /triple); \
    cargo build --release --locked --package coder-logstream-kube --target "$triple"; \
    cp "target/$triple/release/coder-logstream-kube" /coder-logstream-kube

# glibc, which is what the tests run on, and the certificates of public authorities. Of the same Debian as the builder,
# so that its glibc is not older.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.0.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="coder-logstream-kube" \
      org.opencontainers.image.description="Streams what Kubernetes does with a Coder workspace into its startup log" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
COPY --from=build /coder-logstream-kube /coder-logstream-kube
# A number, as Kubernetes cannot tell of a name whether it is root.
USER 65532:65532
# Webhook and health; the metrics are off unless asked for.
EXPOSE 10250 8081
ENTRYPOINT ["/coder-logstream-kube"]
