#!/usr/bin/env bash
# Makes localhost/python:3.11-slim-bookworm without a container registry (Debian, root): a minimal Debian 12 with its Python
# 3.11, by debootstrap and buildah. Then: BASE_IMAGE=localhost/python:3.11-slim-bookworm BUILD_OPTIONS="--isolation chroot" make image
set -euo pipefail
image=localhost/python:3.11-slim-bookworm
export DEBIAN_FRONTEND=noninteractive
command -v buildah >/dev/null && command -v debootstrap >/dev/null || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends buildah debootstrap >/dev/null
}
buildah images -q "$image" 2>/dev/null | grep -q . && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(grep -rhE '^URIs:' /etc/apt/sources.list.d/debian.sources | head -1 | awk '{print $2}')
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$work/root" "$mirror" \
    >"$work/log"
ln -sf python3 "$work/root/usr/bin/python"
tar -C "$work/root" -cf "$work/root.tar" .
printf 'FROM scratch\nADD root.tar /\nCMD ["python3"]\n' >"$work/Containerfile"
buildah build -q -t "$image" -f "$work/Containerfile" "$work"
