#!/bin/sh
# Prepare a machine for make test and make demo: the distribution's packages where root and
# missing, a virtual environment with Salt and the test tools, and a second one, which has Salt but
# not netaddr, to play a fresh minion.
# usage: setup.sh VENV SALT-RELEASE PYTHON
set -eu

venv=$1 release=$2 python=$3

say() { printf '%s\n' "setup: $*"; }

missing() {
    command -v ip >/dev/null || return 0
    command -v unshare >/dev/null || return 0
    command -v dot >/dev/null || return 0
    # Tests that need an SSH server are skipped where there is none.
    if [ "$(id -u)" = 0 ]; then command -v dropbear >/dev/null || return 0; fi
    command -v "$python" >/dev/null || return 0
    "$python" -c 'import ensurepip, venv' 2>/dev/null || return 0
    return 1
}

install_packages() {
    if [ "$(id -u)" != 0 ]; then
        say "missing: iproute2, util-linux, graphviz or Python's venv; install them, or run this" \
            "as root" >&2
        exit 1
    fi
    say "installing iproute2, util-linux, graphviz, dropbear and Python from the distribution"
    if command -v apt-get >/dev/null; then
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install iproute2 util-linux graphviz \
            dropbear-bin openssh-client openssh-sftp-server python3-venv
    elif command -v dnf >/dev/null; then
        dnf -q -y install iproute util-linux graphviz python3 python3-pip
    elif command -v zypper >/dev/null; then
        zypper -q -n install iproute2 util-linux graphviz python3 python3-pip
    else
        say "don't know this distribution; install iproute2, util-linux, graphviz and Python by hand" >&2
        exit 1
    fi
}

if missing; then install_packages; fi

say "Salt $release in $venv (the first time this takes a minute or two)"
"$python" -m venv "$venv"
"$venv/bin/pip" install -q --upgrade pip
# Salt 3006 still imports pkg_resources, which setuptools 81 dropped.
"$venv/bin/pip" install -q "setuptools<81" wheel
"$venv/bin/pip" install -q "salt==$release.*" "netaddr>=0.8" --group test --group lint \
    --group release

say "a second one without netaddr in $venv/fresh"
"$python" -m venv "$venv/fresh"
"$venv/fresh/bin/pip" install -q --upgrade pip
"$venv/fresh/bin/pip" install -q "setuptools<81" wheel
"$venv/fresh/bin/pip" install -q "salt==$release.*"
"$venv/bin/pip" download -q --no-deps -d "$venv/wheels" "netaddr>=0.8"
