# After an update: makes the system that was tried the default if the node answers, else goes back to the one before.
readonly trial=${ALKNET_UPDATE_STATE:-/var/lib/alknet-update}/trial profile=/nix/var/nix/profiles/system
read -r system entry <"$trial"

if [ "$(readlink -f /run/current-system)" != "$system" ]; then
  echo "$system did not come up; this is the system before it" >&2
  rm -- "$trial"
  nix-env --profile "$profile" --rollback
  exit 1
fi

while ((SECONDS < 300)); do
  if alknet status --timeout 5 >/dev/null; then
    bootctl set-default "$entry"
    rm -- "$trial"
    echo "$system is the system from now on"
    # As many as the boot loader offers; what no system needs goes.
    nix-env --profile "$profile" --delete-generations +3
    nix-store --gc --quiet
    exit 0
  fi
  sleep 5
done
echo "the node of $system does not answer, so the system before it is started again" >&2
systemctl reboot
