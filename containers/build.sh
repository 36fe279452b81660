#!/usr/bin/env bash
# build.sh image | sif: builds the image with the first of docker, podman and buildah that works here, or converts it to
# a SIF. BASE_IMAGE names another base image. BUILD_OPTIONS are further options of the builder, APPTAINER_OPTIONS of
# apptainer. For another CUDA, LOCK_FILE names another lock, and TORCH_INDEX the package index with its torch
# (docs/cluster.md).
set -euo pipefail
cd "$(dirname "$0")/.."
image=dropnas sif=containers/dropnas.sif lock=${LOCK_FILE:-requirements.lock} archive="" half=""
trap 'rm -rf "$archive" "$half"' EXIT  # the archive is as large as the image
trap 'exit 1' INT TERM HUP
read -ra options <<<"${BUILD_OPTIONS:-}"
read -ra apptainer_options <<<"${APPTAINER_OPTIONS:-}"

checksum() {  # sha256sum of coreutils, or shasum of macOS
    local program=(sha256sum)
    command -v sha256sum >/dev/null || program=(shasum -a 256)
    "${program[@]}" "$1" | cut -c 1-12
}

builder() {
    local name
    docker info >/dev/null 2>&1 && { echo docker; return; }
    for name in podman buildah; do command -v "$name" >/dev/null && { echo "$name"; return; }; done
    echo "no builder found: install docker (and start its daemon), podman or buildah" >&2
    exit 1
}

build_image() {
    local program
    [ -f "$lock" ] || { echo "$lock is not here; make lock LOCK_FILE=$lock writes it" >&2; exit 1; }
    program=$(builder)
    "$program" build --file containers/Dockerfile --tag "$image" ${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} \
        --build-arg "LOCK_FILE=$lock" ${TORCH_INDEX:+--build-arg "TORCH_INDEX=$TORCH_INDEX"} \
        --build-arg "LOCK=$(checksum "$lock")" ${options[@]+"${options[@]}"} .
}

build_sif() {
    local program name apptainer=""
    for name in apptainer singularity; do command -v "$name" >/dev/null && { apptainer=$name; break; }; done
    [ "$apptainer" ] || { echo "no apptainer or singularity found; install one of them" >&2; exit 1; }
    program=$(builder)
    archive=$(mktemp -d) half=$sif.new
    case $program in
        docker) docker save --output "$archive/image.tar" "$image" ;;
        *) "$program" push --quiet "$image" "docker-archive:$archive/image.tar" ;;
    esac
    # zstd takes a fifth of the default's time to build, and each job starts faster
    "$apptainer" build --help 2>/dev/null | grep -q -e --mksquashfs-args &&
        apptainer_options+=(--mksquashfs-args "-comp zstd -Xcompression-level 3")
    "$apptainer" build --force ${apptainer_options[@]+"${apptainer_options[@]}"} "$half" "docker-archive:$archive/image.tar"
    mv "$half" "$sif"  # running jobs keep the old file
}

case ${1:-} in
    image) build_image ;;
    sif) build_sif ;;
    *) echo "build.sh image | sif" >&2; exit 2 ;;
esac
