# Puts the system $1 on the disk $2: a boot partition, and one for the state. Everything that was there is lost, so the name of the
# disk has to be typed again.
readonly system=$1 disk=$2
[ -b "$disk" ] || { echo "$disk is no disk; lsblk lists them" >&2; exit 2; }
[ "$(lsblk --noheadings --nodeps --output TYPE "$disk")" = disk ] || { echo "$disk is a part of a disk; name the whole one" >&2; exit 2; }
if lsblk --noheadings --output MOUNTPOINTS "$disk" | grep -q .; then
  echo "something of $disk is in use (lsblk $disk); unmount it first, or choose another disk" >&2
  exit 2
fi

lsblk "$disk"
read -rp "All of this is erased. Type the name of the disk again: " again
[ "$again" = "$disk" ] || { echo "nothing was done" >&2; exit 1; }

sgdisk --zap-all "$disk"
sgdisk --new=1:0:+512M --typecode=1:ef00 --change-name=1:ESP --new=2:0:0 --typecode=2:8300 --change-name=2:alknet-state "$disk"
udevadm settle
part() { lsblk --noheadings --raw --output PATH,PARTLABEL "$disk" | awk -v label="$1" '$2 == label { print $1 }'; }
mkfs.vfat -n ESP "$(part ESP)"
mkfs.ext4 -q -F -L alknet-state "$(part alknet-state)"

root=$(mktemp -d)
trap 'umount --recursive "$root" || true' EXIT
mount "$(part alknet-state)" "$root"
mkdir -p "$root/boot" "$root/var"
mount -o umask=0077 "$(part ESP)" "$root/boot"
nixos-install --system "$system" --root "$root" --no-root-passwd --no-channel-copy
sync
echo "Installed. Take the CD out and restart: the machine makes its identity, and shows it on the console."
