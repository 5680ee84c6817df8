# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash disable=SC2034
# What tools/dev, tools/test and tools/quickstart share. Sourced, not run.
#
# Nothing is written outside of build/ and $TMPDIR, except by apt-get, which may_install=0 forbids.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

clang="clang++-19"
toolchain_packages=(clang-19 meson ninja-build pkg-config liburing-dev libspdlog-dev libcli11-dev nlohmann-json3-dev)
developer_packages=("${toolchain_packages[@]}" g++ catch2 libclang-rt-19-dev llvm-19 clang-format-19 clang-tidy-19
  cmake shellcheck strace liblmdb-dev lmdb-utils liblz4-dev libzstd-dev)
may_install=1

# Exit codes beside 0 and 1.
exit_usage=2
exit_needs_root=6

say() { printf '%s\n' "$*"; }

fail() {
  say "error: $1" >&2
  exit "${2:-1}"
}

# Shows a command, then runs it.
run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

# min(cores, memory / 1.2 GB): what one compiler process may need.
default_jobs() {
  local cores memory_kib by_memory
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  by_memory=$((memory_kib / 1200000))
  ((by_memory >= 1)) || by_memory=1
  say $((cores < by_memory ? cores : by_memory))
}
jobs=${CAMBIUM_JOBS:-$(default_jobs)}

is_installed() { [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]; }
is_known() { [[ -n $(apt-cache madison "$1" 2>/dev/null) ]]; }

as_root() {
  if [[ $(id -u) == 0 ]]; then
    run env DEBIAN_FRONTEND=noninteractive "$@"
  else
    run sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# Installs those of the named Debian packages that are missing.
install_packages() {
  local package missing=() unknown=0
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0

  local line="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $may_install == 0 ]]; then
    fail "missing packages, and --no-install was given; as root: apt-get update && $line" $exit_needs_root
  fi
  if [[ $(id -u) != 0 ]] && ! command -v sudo >/dev/null; then
    fail "missing packages, and no sudo here; as root: apt-get update && $line" $exit_needs_root
  fi
  for package in "${missing[@]}"; do
    is_known "$package" || unknown=1
  done
  [[ $unknown == 0 ]] || as_root apt-get update
  # shellcheck disable=SC2086
  as_root $line
}

# What meson looks for by itself: when one of these comes or goes, a build folder is configured again.
optional_parts() {
  local package
  for package in catch2 libcli11-dev nlohmann-json3-dev liblmdb-dev liblz4-dev libzstd-dev; do
    ! is_installed "$package" || printf '%s ' "$package"
  done
  [[ ! -f build/peers/rocksdb/BUILD-INFO ]] || printf 'rocksdb'
}

# configure <folder> <compiler> [meson options]: does nothing if the folder is configured in the same way already.
configure() {
  local folder=$1 compiler=$2 options parts known=() state=()
  shift 2
  options="$compiler $*"
  parts=$(optional_parts)
  if [[ -f $folder/build.ninja ]]; then
    [[ ! -f $folder/configured-as ]] || mapfile -t known <"$folder/configured-as"
    if [[ ${known[0]:-} != "$options" ]]; then
      state=(--wipe)
    elif [[ ${known[1]:-} != "$parts" ]]; then
      state=(--reconfigure)
    else
      return 0
    fi
  fi
  run env CXX="$compiler" meson setup "$folder" "${state[@]}" --wrap-mode=nofallback "$@"
  printf '%s\n' "$options" "$parts" >"$folder/configured-as"
}

# The builds everybody shares, by name; each lives in build/<name>. Programs that only people run are left out of the
# sanitizer builds: what they test is in the libraries.
library_only=(-Dexamples=disabled -Dbenches=disabled -Dtools=disabled)
configure_build() {
  local folder=build/$1
  case $1 in
    release) configure "$folder" $clang -Dwerror=true ;;
    gcc) configure "$folder" g++ -Dwerror=true ;;
    asan) configure "$folder" $clang -Dwerror=true -Doptimization=1 -Dcpp_args=-gline-tables-only \
      -Db_sanitize=address,undefined -Db_lundef=false -Dverify=true "${library_only[@]}" ;;
    # Without warnings: g++ gives false ones about the standard library when it instruments; build gcc has them on.
    gcc-asan) configure "$folder" g++ -Doptimization=1 "-Dcpp_args=-g1 -w" \
      -Db_sanitize=address,undefined -Dverify=true "${library_only[@]}" ;;
    tsan) configure "$folder" $clang -Dwerror=true -Doptimization=1 -Dcpp_args=-gline-tables-only \
      -Db_sanitize=thread -Db_lundef=false "${library_only[@]}" ;;
    planted) configure "$folder" $clang -Dwerror=true -Dplanted_bugs=true "${library_only[@]}" ;;
    verify) configure "$folder" $clang -Dwerror=true -Dverify=true "${library_only[@]}" ;;
    coverage) configure "$folder" $clang -Doptimization=0 "-Dcpp_args=-fprofile-instr-generate -fcoverage-mapping" \
      "-Dcpp_link_args=-fprofile-instr-generate" -Dexamples=disabled -Dbenches=disabled ;;
    fuzz) configure "$folder" $clang -Doptimization=1 -Dcpp_args=-gline-tables-only \
      -Db_sanitize=address,undefined -Db_lundef=false -Dverify=true -Dfuzz=true -Dtests=disabled "${library_only[@]}" ;;
    *) fail "no such build: $1 (release gcc asan gcc-asan tsan verify planted coverage fuzz)" $exit_usage ;;
  esac
}

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}

formatted_files() {
  find include runtime lib tests fuzz benches examples tools -name '*.h' -o -name '*.cc' |
    grep -v '^tests/lint/' | sort
}
check_format() { formatted_files | xargs clang-format-19 --dry-run --Werror; }

# The scripts are code too: every file of ours that bash reads.
check_scripts() {
  grep -lE --directories=skip '^#!.*bash|^# shellcheck shell=bash' .ci/run tools/* examples/* tests/*/* | xargs shellcheck -x
}
