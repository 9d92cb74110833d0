#!/usr/bin/env bash
# Runs as the first process of a machine, in new namespaces: builds the machine's own root file system, enters it, and becomes
# the machine's init. Programs are the host's; everything that a test may write to is the machine's own.
#
# usage: root.sh MACHINE TOOLS PYTHON PYTHON_HOME
#   MACHINE      the machine's folder, with disk/ (survives a crash) and shared/ (where the runner puts files for it)
#   TOOLS        bin/, programs that come before those of /usr/bin, such as what stands in for systemctl and journalctl;
#                opt/, the packages of the node's generations
#   PYTHON       the interpreter for init; PYTHON_HOME its folder, made visible if it lies outside of the shared ones
set -euo pipefail
machine=$1 tools=$2 python=$3 python_home=$4
guest=$(dirname "$(realpath "$0")")
root=$machine/root

bind() { # bind SOURCE TARGET: recursive, as a user namespace may not take a folder without what is mounted in it
  mkdir -p "$2"
  mount --rbind "$1" "$2"
}

mkdir -p "$root"
mount -t tmpfs -o mode=755 machine "$root"
cd "$root"
mkdir -p dev etc home mnt opt proc run sys tmp var root usr

for path in /usr /bin /sbin /lib /lib32 /lib64 /libx32 /opt /nix; do
  if [ -L "$path" ]; then
    cp -P "$path" ".$path"
  elif [ -d "$path" ]; then
    bind "$path" ".$path"
    mount -o remount,bind,ro ".$path" 2>/dev/null || true # a user namespace may not be allowed to, and is not root outside
  fi
done
mount -t overlay -o "ro,lowerdir=$tools/bin:/usr/bin" programs usr/bin
mount -t overlay -o "ro,lowerdir=$tools/opt:$root/opt" packages opt

# Of the host's settings only what programs need to run at all. The rest is written by init.
for path in alternatives ca-certificates crypto-policies group ld.so.cache ld.so.conf ld.so.conf.d localtime login.defs passwd \
  pki protocols services shells ssl static terminfo; do
  if [ -d "/etc/$path" ]; then bind "/etc/$path" "etc/$path"; elif [ -f "/etc/$path" ]; then cp "/etc/$path" "etc/$path"; fi
done

mkdir -p "$machine"/disk/{var/lib,var/log,var/tmp,var/cache,root,home}
chmod 1777 "$machine/disk/var/tmp"
chmod 700 "$machine/disk/root"
for path in var root home; do bind "$machine/disk/$path" "$path"; done
ln -sfn /run var/run

mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
bind "$machine/shared" tmp/shared
bind "$guest" run/vm-tests/guest
mkdir -p etc/systemd/system run/current-system
ln -s /opt/alknet/1 run/current-system/sw # as NixOS calls what is installed; the first generation at every boot

mount -t tmpfs -o mode=755 dev dev
mkdir -p dev/pts dev/shm dev/net
for device in null zero full random urandom tty net/tun; do
  if [ -e "/dev/$device" ]; then
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  fi
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in "0 stdin" "1 stdout" "2 stderr"; do ln -s "/proc/self/fd/${number% *}" "dev/${number#* }"; done

mount -t proc proc proc
mount -t sysfs -o ro sys sys 2>/dev/null || true # refused in some containers, and no test needs it

if [ ! -e ".$python" ]; then bind "$python_home" ".$python_home"; fi

mkdir -p old
pivot_root . old
cd /run/vm-tests/guest
umount -l /old
rmdir /old
# A relative name, so that no "pkill -f" of a test can hit it by the folder that the project happens to lie in.
exec "$python" -Es init.py
