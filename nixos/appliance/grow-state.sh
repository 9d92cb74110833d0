# Grows the partition that is mounted at $1, and its file system, to the end of the disk. Does nothing if there is nothing to gain.
set -euo pipefail
partition=$(findmnt --noheadings --output SOURCE "$1")
disk=/dev/$(lsblk --noheadings --nodeps --output PKNAME "$partition")
number=$(<"/sys/class/block/$(basename "$partition")/partition")

# The disk may have grown beyond the end that its partition table knows.
sgdisk --move-second-header "$disk" >/dev/null
echo ', +' | sfdisk --quiet --no-reread --no-tell-kernel --partno "$number" "$disk"
# One that is in use is told its new size this way.
partx --update --nr "$number" "$disk"
resize2fs "$partition"
