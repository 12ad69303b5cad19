#!/bin/sh
# The unit tests on each other Python that a minion may have, as far as it is to be had: from PATH or
# pyenv, and as root from the distribution or, in a directory of its own, from Debian's next release.
# usage: pythons.sh PYTHON, whose version is left out: make test has used it
set -eu
cd "$(dirname "$0")/.."

VERSIONS="3.10 3.11 3.12 3.13 3.14"
SOURCES="_modules _states _utils tests bench"
ROOT=.venv-debian
LOG=.venv-pythons.log

export PYTHONPYCACHEPREFIX="$PWD/.venv-pycache"

say() { printf '%s\n' "pythons: $*"; }

# Set `found` to a command that is Python VERSION and can make virtual environments.
search() {
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
        if "$found" -c "import ensurepip, sys, venv; assert sys.version.startswith('$1.')" \
            2>/dev/null; then return; fi
    done
    false
}

as_root() {
    [ "$(id -u)" = 0 ] && "$@" >>$LOG 2>&1
}

install_from_distribution() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update || return
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -y install "python$1-venv"
    elif command -v dnf >/dev/null; then
        as_root dnf -y install "python$1"
    elif command -v zypper >/dev/null; then
        as_root zypper -n install "python$(echo "$1" | tr -d .)"
    else
        false
    fi
}

# The directory has the libraries too, as packages; pure Python, so for each of its Pythons.
install_in_root() {
    if ! [ -e $ROOT/ready ]; then
        as_root sh -c 'command -v debootstrap || apt-get -y install debootstrap' || return
        rm -rf $ROOT
        # In a namespace of its own, so that what it mounts there ends with it.
        as_root unshare --mount debootstrap --variant=minbase --include=graphviz,python3-graphviz,\
python3-hypothesis,python3-netaddr,python3-pytest,python3-pytest-xdist,python3-yaml testing $ROOT ||
            return
        touch $ROOT/ready
    fi
    as_root chroot $ROOT apt-get -y install "python$1"
}

# The mounts end with the lab.
in_root() {
    # shellcheck disable=SC2016
    sh tests/lab/enter.sh sh -c 'mount --rbind /proc "$0/proc" && mount --bind . "$0/mnt" &&
        exec chroot "$0" sh -c "cd /mnt && exec \"\$@\"" sh "$@"' $ROOT "$@"
}

make_venv() {
    [ -n "$(find "$1/ready" -newer pyproject.toml 2>/dev/null)" ] && return
    rm -rf "$1"
    "$found" -m venv "$1"
    "$1/bin/pip" install -q --upgrade pip
    "$1/bin/pip" install -q "netaddr>=0.8" --group unit
    touch "$1/ready"
}

# usage: check VERSION COMMAND..., which runs that Python
check() {
    version=$1
    shift
    # shellcheck disable=SC2086
    if "$@" -W error -m compileall -q -f $SOURCES &&
        "$@" -m pytest tests/unit -q --no-skips -n auto -p no:cacheprovider; then return; fi
    failed="$failed $version"
}

own=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
failed='' checked='' lacking=''
: >$LOG
for version in $VERSIONS; do
    [ "$version" = "$own" ] && continue
    if search "$version" || { install_from_distribution "$version" && search "$version"; }; then
        say "$version is $found"
        make_venv ".venv-python$version"
        check "$version" ".venv-python$version/bin/python"
    elif install_in_root "$version"; then
        say "$version is that of Debian's next release, in $ROOT"
        check "$version" in_root "python$version"
    else
        lacking="$lacking $version"
        continue
    fi
    checked="$checked $version"
done

say "$own is left to make test; checked:${checked:- none}; not to be had:${lacking:- none}"
[ -z "$lacking" ] || say "why not: $LOG"
if [ -n "$failed" ]; then
    say "failed:$failed" >&2
    exit 1
fi
