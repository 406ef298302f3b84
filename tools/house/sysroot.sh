#!/usr/bin/env bash
# Third-party headers and archives for 64-bit Arm, as cmake/aarch64.cmake wants them: Debian's own arm64 packages,
# fetched by apt with lists and an architecture of their own and unpacked into a folder. Nothing is installed, and the
# system's list of architectures stays as it is.
#
#     tools/house/sysroot.sh [FOLDER]        default: build/aarch64-sysroot
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$root/build/aarch64-sysroot}
# CMake packages of fmt and spdlog check that their libraries are there. Headers alone, the same for every architecture: Boost's are linked from this machine (they are 150 MB).
packages="nlohmann-json3-dev libcli11-dev libfmt-dev libspdlog-dev libxxhash-dev libpcre2-dev libutf8proc-dev
libjpeg62-turbo-dev libpng-dev zlib1g-dev libgtest-dev libgmock-dev libfmt9 libspdlog1.10"
digest=$(echo $packages | cksum)
[ -f "$folder/complete" ] && [ "$(cat "$folder/complete")" = "$digest" ] && exit 0
[ -d /usr/include/boost ] || { echo "sysroot: no /usr/include/boost (libboost1.81-dev)" >&2; exit 1; }
rm -rf "$folder"
mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$folder/debs" "$folder/usr/include"
apt=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::Lists=$folder/lists"
  -o "Dir::Cache::archives=$folder/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o APT::Sandbox::User= -o Acquire::Languages=none -o Dir::State::status=/dev/null)
apt-get "${apt[@]}" update
(cd "$folder/debs" && apt-get "${apt[@]}" download $packages)
for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder"; done
ln -s /usr/include/boost "$folder/usr/include/boost"
rm -rf "$folder/lists" "$folder/archives" "$folder/debs" "$folder/usr/share/doc"
echo "$digest" >"$folder/complete"
