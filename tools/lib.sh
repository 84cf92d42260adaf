# What the scripts beside this file share; sourced, never run.
# shellcheck shell=bash

export ROOT
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# say WORDS: one line of progress.
say() { printf 'pileus: %s\n' "$*"; }

# fail WHAT MEND: say what is wrong and what to do about it, and end.
fail() {
  printf 'pileus: %s\n        %s\n' "$1" "$2" >&2
  exit 1
}

# as_root COMMAND...: run it as root, by sudo where we are somebody else.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    fail "'$*' must run as root, and there is no sudo" "Run this as root, or install sudo."
  fi
}

has_systemd() { [ -d /run/systemd/system ]; }
