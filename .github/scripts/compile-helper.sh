#!/usr/bin/env bash
# Compiles release-helper from the checkout into helper/, and sets an output named after this kind of runner, such as
# Linux-X64, to its SHA-256: the jobs that get it demand that digest.
# rustup is on every runner; the toolchain is that of rust-toolchain.toml, the crates those of Cargo.lock.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CARGO_NET_RETRY=10
cargo build --locked --package release-helper
mkdir -p helper
cp target/debug/release-helper helper/
sha256=$(shasum -a 256 helper/release-helper | cut -c 1-64)
echo "${RUNNER_OS:?not set: this is for a job, type cargo release-helper on your own machine}-${RUNNER_ARCH:?not set}=$sha256" \
  >>"${GITHUB_OUTPUT:?not set}"
