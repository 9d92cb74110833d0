# What stands on the first console, drawn again every half minute and after every key.
readonly words=/var/lib/alknet-identity/words.cred
readonly code=/run/alknet-pairing/code

identity() { alknet id --json 2>/dev/null | jq --raw-output '"\(.name)  \(.fingerprint)"' || true; }
addresses() { ip -json -brief address show up scope global | jq --raw-output '[.[].addr_info[]?.local | strings] | join("  ")'; }
paired() { alknet peer list --json 2>/dev/null | jq --exit-status --arg owner "$ALKNET_OWNER" 'any(.[]; .id == $owner)' >/dev/null; }
state() { systemctl is-active alknet.service || true; }

draw() {
  clear
  echo "alknet: $(identity)"
  echo "$(state), at $(addresses)"
  if paired; then
    printf '\nPaired. Others are let in by the owner: alknet peer --help, on a machine that has paired.\n\n'
  elif [ -s "$code" ]; then
    cat "$code"
  else
    printf '\nThere is no pairing code yet; [n] makes one.\n\n'
  fi
  local keys="[j]oin a hub  [n]ew code  [r]estart  [s]hut down"
  [ ! -e "$words" ] || keys+="  [w]ords of the node"
  [ -z "${ALKNET_INSTALLS:-}" ] || keys+="  [i]nstall to a disk"
  printf '%s ' "$keys"
}

pause() { read -rsn1 -p "Press a key. " _ || true; }

join() {
  local link
  clear
  echo "The link that \"alknet invite\" printed at the hub. What the hub may do here is asked next."
  read -rp "Link: " link
  [ -n "$link" ] || return 0
  local scopes=() scope given
  read -rp "Scopes of the hub, such as tty:* (none): " given
  for scope in $given; do scopes+=(--scope "$scope"); done
  # By standard input, as a list of processes is for everybody.
  alknet join "${scopes[@]}" - <<<"$link" || true
  pause
}

show_words() {
  clear
  systemd-creds decrypt --name=words "$words" - | tr ' ' '\n' | nl -w 2 -s ' ' | column_of_words
  echo
  echo "Write them down and keep them offline: every key of the node follows from them."
  local answer
  read -rp 'Type "written" to remove them from this machine: ' answer
  if [ "$answer" = written ]; then rm -- "$words"; fi
}

column_of_words() { paste -d '\t' - - - - - -; }

install_to_disk() {
  clear
  lsblk --nodeps --output NAME,SIZE,MODEL,TRAN || true
  local disk
  read -rp "Disk, such as /dev/sda (none): " disk
  [ -n "$disk" ] || return 0
  alknet-install "$disk" || true
  pause
}

while true; do
  draw
  key=''
  status=0
  read -rsn1 -t 30 key || status=$?
  # Over 128 says that nothing came in time; anything else, that there is no terminal any more.
  if ((status > 0 && status <= 128)); then exit 1; fi
  case "$key" in
    j) join ;;
    n) systemctl restart alknet-pairing.service || pause ;;
    r) systemctl reboot ;;
    s) systemctl poweroff ;;
    w) if [ -e "$words" ]; then show_words; fi ;;
    i) if [ -n "${ALKNET_INSTALLS:-}" ]; then install_to_disk; fi ;;
  esac
done
