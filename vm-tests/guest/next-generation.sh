#!/bin/sh
# Switches the machine's node to its next generation, as NixOS does when the text of a unit has changed. The next boot
# is of the first generation again.
set -eu
next=/etc/next-generation
if [ ! -d $next ]; then
  echo "next-generation: there is none for this machine; its fleet.toml needs a [machines.$(uname -n).next.settings]" >&2
  exit 1
fi
cat $next/alknet.toml >/etc/alknet/alknet.toml
cp $next/alknet.service /etc/systemd/system/alknet.service
ln -sfn /opt/alknet/2 /run/current-system/sw
systemctl daemon-reload
systemctl restart alknet.service
