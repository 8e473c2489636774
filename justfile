# Commands for development. `just` lists them; each is a plain command that can be typed as well.

default:
    @just --list

# Unit tests without a cluster
unit:
    cargo test --workspace --lib --bins

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# All tests, on a real control plane
test:
    cargo test --workspace --locked

# The demo; `just demo --keep` leaves it running
demo *ARGS:
    cargo demo {{ARGS}}

# A control plane for experiments, until Ctrl-C
cluster:
    cargo run --package logstream-testing --example cluster

# The chart's golden files, checks and a strict dry run
chart:
    cargo run --locked --package logstream-testing --example with_cluster -- helm/tests/run.sh

# The documentation's links, and the site in target/site
docs:
    docs/tools/site.py build

# The picture of the dashboard, from a run of five minutes (needs Node.js, Chromium, pngquant and Prometheus)
dashboard:
    docs/tools/dashboard/picture

# Image, SBOMs and chart in dist/; `just release amd64` for one architecture
release *ARCH:
    packaging/release {{ARCH}}

# Licences, banned crates and sources (needs cargo-deny)
deny:
    cargo deny check licenses bans sources

# Everything that must pass before a merge
gate:
    .ci/run
