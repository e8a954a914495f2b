# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts: strict mode, the project's root as working folder, a usable cmake.
# shellcheck shell=bash
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$root"

say() { printf '\n== %s\n' "$*"; }

die() {
  printf 'smmulab: %s\n' "$*" >&2
  exit 1
}

# Is version $1 at least $2?
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

cmake_works() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n '1s/^cmake version //p') || return 1
  [[ -n $version ]] && at_least "$version" 3.25
}

# Debian's own cmake if it is there: a wrapper or another version may stand before it in PATH.
prefer_system_cmake() {
  if cmake_works /usr/bin/cmake; then
    PATH="/usr/bin:$PATH"
  else
    cmake_works cmake || die "cmake 3.25 or newer is needed; none is in PATH"
  fi
}

# The C++ and Python sources of this checkout, new ones included; NUL-separated.
source_files() {
  git ls-files -z --cached --others --exclude-standard -- "$@" |
    while IFS= read -r -d '' file; do
      [[ -f $file ]] && printf '%s\0' "$file"
    done
}
