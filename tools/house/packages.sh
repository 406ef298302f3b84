# Sourced by check and try: `need_packages ["fuzz browser aarch64"]` returns 0 when every package of packages.txt is
# there (those for fuzzing, the browser and Arm where asked for), installs what is missing as root or with sudo, else prints the
# apt line and returns 2.
need_packages() {
  local here list missing
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  # Commands that are there need no package: npm may have come with another Node.js.
  list=$(sed -e 's/#.*//' "$here/packages.txt" | awk -v more=" ${1:-} " \
    'NF && ($2 !~ /^(fuzz|browser|aarch64)$/ || index(more, " " $2 " ")) {print $1}' | while read -r package; do
      case $package in
        chromium | npm) command -v "$package" ;;
        nodejs) command -v node ;;
        *) false ;;
      esac >/dev/null || echo "$package"
    done)
  if ! command -v dpkg-query >/dev/null; then
    echo "packages: not a Debian system; CMake will name what it misses (list: tools/house/packages.txt)"
    return 0
  fi
  missing=$(comm -23 <(sort -u <<<"$list") <(
    dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" {print $2}' | sort -u))
  [ -z "$missing" ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      echo "Missing packages. Run this, then start again:"
      echo "  sudo apt-get install -y --no-install-recommends" $missing
      return 2
    fi
  fi
  echo "Installing:" $missing
  "${as_root[@]}" apt-get update -qq </dev/null >/dev/null || true  # the lists at hand may do
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing </dev/null; then
    echo "apt-get could not install them. The line was:"
    echo "  apt-get install -y --no-install-recommends" $missing
    return 2
  fi
}
