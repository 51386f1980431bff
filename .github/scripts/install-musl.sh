#!/usr/bin/env bash
# Installs musl's loader beside the runner's glibc: the -musl artifacts load libraries through it.
set -euo pipefail
sudo apt-get update -o Acquire::Retries=5
sudo apt-get install --yes --no-install-recommends -o Acquire::Retries=5 musl
