#!/usr/bin/env bash
# The inside of a worker's namespaces: a name, a disk, the forwarders, then the command.
#   machine.sh ADDRESS FORWARDER... -- COMMAND...
set -euo pipefail
# Airflow gives this name to the API server, which asks there for logs.
hostname "$1"
shift
# It writes to its own folder only, and does not see those of the other workers.
mount --make-rprivate /
mount --bind "$HOME" /mnt
mount -t tmpfs none "$(dirname "$HOME")"
mkdir "$HOME"
mount --move /mnt "$HOME"
mount -o remount,bind,ro /
mount -t tmpfs none /dev/shm
cd "$HOME"
mkdir -p "$TMPDIR"
forwarder=()
while [ "$1" != "--" ]; do
  forwarder+=("$1")
  shift
done
shift
"${forwarder[@]}" &
"$@" &
command=$!
# The first process of a process namespace: it passes signals on, and its end ends all others.
trap 'kill -TERM $command 2>/dev/null || true' TERM INT
wait $command || true
wait $command 2>/dev/null || true
