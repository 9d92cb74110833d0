# Makes a seed and its words, and keeps them encrypted for this machine. The last file to appear is the seed: where it is, all is.
set -euo pipefail
made="$RUNTIME_DIRECTORY/made"
alknet init --dir "$made" --state-dir "$made/state" --seed-credential "$made/seed" --name "$NODE_NAME" --json >"$RUNTIME_DIRECTORY/made.json"

keep() {
  systemd-creds encrypt --name="$1" - "$STATE_DIRECTORY/.$1.cred"
  sync "$STATE_DIRECTORY/.$1.cred"
  mv "$STATE_DIRECTORY/.$1.cred" "$STATE_DIRECTORY/$1.cred"
}
jq --exit-status --join-output .phrase "$RUNTIME_DIRECTORY/made.json" | keep words
keep seed <"$made/seed"
sync "$STATE_DIRECTORY"

echo "the identity of this node is $(jq --raw-output .fingerprint "$RUNTIME_DIRECTORY/made.json")"
echo "its words: systemd-creds decrypt --name=words $STATE_DIRECTORY/words.cred -  Write them down, and remove that file."
