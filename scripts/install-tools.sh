#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the programs that the tests need, if they are missing: a browser and its driver, Node.js with Azurite (the
# emulator of Azure Storage), Postgres, curl and unzip, and the Debian packages given as arguments, each of which must
# provide a command of the same name.
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
# Debian does not put the programs of the server on the PATH.
command -v pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null || missing+=(postgresql)
for package in "$@"; do
    need "$package" "$package"
done

if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "The tests need ${missing[*]} (names of Debian packages); apt-get is missing, so install them manually." >&2
        exit 1
    fi
    as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "The tests need ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
        echo "apt-get could not install ${missing[*]}; see its output above." >&2
        exit 1
    fi
fi

if [[ ! -x .tools/node_modules/.bin/azurite-blob ]]; then
    echo "Installing $AZURITE into .tools"
    mkdir -p .tools
    npm install --prefix .tools --silent --no-save --no-package-lock --no-audit --no-fund "$AZURITE"
fi
