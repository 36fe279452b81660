#!/usr/bin/env bash
# Installs Apptainer on Debian 12, whose own archive has none (needs root): the package of Debian's unstable suite, and
# beside the system's C library the newer one of Debian 13, to which its two binaries are pointed. As root in a restricted
# virtual machine, images are then built and run with --userns.
set -euo pipefail
command -v apptainer >/dev/null && { apptainer --version; exit 0; }
export DEBIAN_FRONTEND=noninteractive
library=/opt/apptainer-libc work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial cache/archives/partial
mirror=$(grep -rhE '^URIs:' /etc/apt/sources.list.d/debian.sources | head -1 | awk '{print $2}')
printf 'deb %s sid main\ndeb %s trixie main\n' "$mirror" "$mirror" >sources.list
options=(-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
apt-get update -qq
apt-get install -y -qq patchelf squashfs-tools uidmap libseccomp2 fuse2fs squashfuse >/dev/null
apt-get "${options[@]}" update -qq
apt-get "${options[@]}" download apptainer libc6/trixie >/dev/null
dpkg-deb -x libc6_*.deb libc
dpkg-deb -x apptainer_*.deb app
mkdir -p "$library"
cp -a libc/usr/lib/x86_64-linux-gnu/. "$library/"
cp -a app/. /
for binary in /usr/bin/apptainer /usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
    patchelf --set-interpreter "$library/ld-linux-x86-64.so.2" \
        --set-rpath "$library:/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu" "$binary"
done
apptainer --version
