#!/bin/sh
# Makes a machine with a real systemd what its name says, at every boot and before its node starts.
set -eu
name=$(uname -n)
mine=/usr/local/share/fleet/$name
if [ ! -d "$mine" ]; then
  echo "fleet: there is no machine $name in this scenario" >&2
  exit 1
fi

# The node's part of /etc is made anew, whatever became of it since the last boot.
rm -rf /etc/alknet /etc/next-generation /etc/systemd/system/alknet.service
cp -a "$mine/etc/." /etc/
mkdir -p /run/current-system
ln -sfn /opt/alknet/1 /run/current-system/sw

# A driver of containers may throw a machine's disk away when it ends. What the driver shares with its machines stays.
if mountpoint -q /tmp/shared; then
  for path in /var/lib/private /root /home; do
    kept=/tmp/shared/disks/$name$path
    mkdir -p "$path" "$kept"
    chmod --reference="$path" "$kept"
    mount --bind "$kept" "$path"
  done
fi

# The units were read before this one was there.
systemctl daemon-reload
if [ -e /etc/systemd/system/alknet.service ]; then
  systemctl start --no-block alknet.service
fi
