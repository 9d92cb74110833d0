#!/usr/bin/env bash
# usage: confinement.sh ALKNET UNIT...: systemd-analyze finds no fault with the units, and an exposure of 1.5 at most.
set -euo pipefail
readonly alknet=$1 most=1.5
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for unit in "$@"; do
  text=$(sed "s#@alknet@/bin/alknet#$alknet#; s#/bin/kill#$(command -v kill)#" "$unit")
  printf '%s\n' "$text" >"$folder/alknet.service"
  # The unit that makes the identity is another one's business.
  printf '[Service]\nType=oneshot\nExecStart=%s --version\n' "$alknet" >"$folder/alknet-identity.service"
  said=$(SYSTEMD_UNIT_PATH="$folder:" systemd-analyze verify --man=no "$folder/alknet.service" 2>&1) || true
  [ -z "$said" ] || { echo "$unit: $said" >&2; exit 1; }
  exposure=$(systemd-analyze security --offline=true --no-pager "$folder/alknet.service" | sed -n 's/.*exposure level for alknet.service: \([0-9.]*\).*/\1/p')
  awk -v is="$exposure" -v most="$most" 'BEGIN { exit !(is != "" && is <= most) }' || { echo "$unit: an exposure of $exposure, and $most is the most" >&2; exit 1; }
  echo "$(basename "$unit"): exposure $exposure"
done
