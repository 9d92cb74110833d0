# Takes a system from the binary cache and boots it once. usage: alknet-update [--reboot] [STORE PATH]; without a path the channel
# is asked. Nix refuses what nobody trusted has signed; what is no appliance, or an older one, is refused here.
readonly state=${ALKNET_UPDATE_STATE:-/var/lib/alknet-update} profile=/nix/var/nix/profiles/system
fail() { echo "alknet-update: $*" >&2; exit 1; }

reboot=
if [ "${1:-}" = --reboot ]; then reboot=yes; shift; fi
[ -n "${ALKNET_CACHE:-}" ] || fail "there is no binary cache: set appliance.update.cache"
system=${1:-}
if [ -z "$system" ]; then
  [ -n "${ALKNET_CHANNEL:-}" ] || fail "there is no channel to ask: set appliance.update.channel, or name a store path"
  system=$(curl --fail --silent --show-error --max-time 60 --max-filesize 4096 "$ALKNET_CHANNEL" | head -n 1)
fi
[[ $system =~ ^/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+$ ]] || fail "\"$system\" is no store path"

current=$(readlink -f /run/current-system)
if [ "$system" = "$current" ]; then
  echo "this is the newest system"
  exit 0
fi

nix --extra-experimental-features nix-command copy --from "$ALKNET_CACHE" "$system"

value() { awk -F = -v key="$2" '$1 == key { print $2 }' "$1/etc/alknet-appliance"; }
[ -e "$system/etc/alknet-appliance" ] || fail "$system is no system of an appliance"
[ "$(value "$system" system)" = "$(value "$current" system)" ] || fail "$system is for $(value "$system" system)"
[ "$(value "$system" serial)" -ge "$(value "$current" serial)" ] || fail "$system is older than this system"

# The boot loader starts the new system once; the old one stays the default until the new one is confirmed (alknet-confirm).
old=$(basename "$(readlink "$profile")")
nix-env --profile "$profile" --set "$system"
new=$(basename "$(readlink "$profile")")
"$system/bin/switch-to-configuration" boot
entry() { echo "nixos-generation-$(awk -F - '{ print $2 }' <<<"$1").conf"; }
bootctl set-default "$(entry "$old")"
bootctl set-oneshot "$(entry "$new")"
mkdir -p "$state"
printf '%s %s\n' "$system" "$(entry "$new")" >"$state/trial.new"
sync "$state/trial.new"
mv "$state/trial.new" "$state/trial"
echo "$system is booted next, and stays if it comes up as a node"
if [ -n "$reboot" ]; then systemctl reboot; fi
