#!/usr/bin/env bash
# Compiles release-helper from the checkout and puts it on the PATH of the job's next steps.
#
# Every job compiles its own, with the toolchain of rust-toolchain.toml (rustup is on every runner) and the crates of
# Cargo.lock: about a minute, and no binary has to be handed from job to job and trusted.
# It runs before any step that is given a token.
set -euo pipefail
: "${RUNNER_TEMP:?not set: this script is for a job, type cargo release-helper on your own machine}"
: "${GITHUB_PATH:?not set}"

cd "$(dirname "$0")/../.."
export CARGO_NET_RETRY=10
cargo install --locked --debug --path cmd/release-helper --root "$RUNNER_TEMP/helper"
echo "$RUNNER_TEMP/helper/bin" >>"$GITHUB_PATH"
