#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need besides Python packages, where it is missing: a browser and its driver,
# node with Azurite (Azure's own stand-in for its storage), curl and unzip; and the packages that are named, each of
# which must bring a command of its name.
set -euo pipefail
cd "$(dirname "$0")/.."

AZURITE=azurite@3.35.0

missing=()
need() { # command, Debian package
    command -v "$1" >/dev/null || missing+=("$2")
}
need chromium chromium
need chromedriver chromium-driver
need curl curl
need node nodejs
need npm npm
need unzip unzip
for package in "$@"; do
    need "$package" "$package"
done

if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "The tests need ${missing[*]} (Debian's names), and there is no apt-get here: install them by hand." >&2
        exit 1
    fi
    as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "The tests need ${missing[*]}: as root, run apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
        echo "apt-get could not install ${missing[*]}; its words are above." >&2
        exit 1
    fi
fi

if [[ ! -x .tools/node_modules/.bin/azurite-blob ]]; then
    echo "Installing $AZURITE into .tools"
    mkdir -p .tools
    npm install --prefix .tools --silent --no-save --no-package-lock --no-audit --no-fund "$AZURITE"
fi
