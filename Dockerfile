# syntax=docker/dockerfile:1
# The image by Docker, for amd64 and arm64: the same files that packaging/release writes without a container engine.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag … .
#
# This file has not been built yet: it was written without access to a container engine.

# On the builder's own processor, whatever the target's is: emulated, the build would take an hour.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
ARG TARGETARCH
# Otherwise rust-toolchain.toml would have rustup fetch clippy and rustfmt too.
ENV RUSTUP_TOOLCHAIN=1.95.0
# A compiler for each processor, which ring's C and assembly need; Debian and Docker have the same names for them.
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) rustup target add x86_64-unknown-linux-gnu ;; \
        arm64) rustup target add aarch64-unknown-linux-gnu ;; \
    esac; \
    cross=; \
    [ "$(dpkg --print-architecture)" = "$TARGETARCH" ] || cross="crossbuild-essential-$TARGETARCH"; \
    apt-get update; \
    apt-get install --yes --no-install-recommends ca-certificates python3 $cross; \
    rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
    packaging/build "$TARGETARCH" && packaging/image.py rootfs "$TARGETARCH" /rootfs

FROM scratch
LABEL org.opencontainers.image.title="coder-logstream-kube" \
      org.opencontainers.image.description="Streams what Kubernetes does with a Coder workspace into its startup log" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /rootfs/ /
# A number, as Kubernetes cannot tell of a name whether it is root.
USER 65532:65532
# Webhook and health; the metrics are off unless asked for.
EXPOSE 10250 8081
ENTRYPOINT ["/coder-logstream-kube"]
