#!/bin/sh
# Boots systemd on a throw-away copy of a root, this host's or another one: the root's files are visible, and everything
# written is discarded at the end.
# Runs as the first process of its own mount and pid namespaces, so that its exit ends all processes and unmounts all
# file systems.
# Usage: boot.sh NAME ROOT CHECKOUT CGROUP…
set -eu
name=$1 root=$2 checkout=$3
shift 3
cd "$root"

# Use a separate cgroup: nspawn always names the machine's cgroup `payload` below its own, so two machines would share
# one.
for cgroup; do
  mkdir "$cgroup"
  echo 0 > "$cgroup/cgroup.procs"
done

# Holds the overlay's writable layer, and the folders that nspawn leaves in /run.
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/root
mount -t overlay overlay -o lowerdir=.,upperdir=/run/upper,workdir=/run/work /run/root
cd /

# policy-rc.d keeps packages from starting their services, as in container images; here the services must start.
rm -f /run/root/usr/sbin/policy-rc.d
# The package brings its own Node, and must not need any other.
rm -f /run/root/usr/bin/node /run/root/usr/bin/nodejs /run/root/usr/local/bin/node

# Keeps dpkg from calling fsync at each step: nothing here has to survive a crash.
mkdir -p /run/root/etc/dpkg/dpkg.cfg.d
echo force-unsafe-io > /run/root/etc/dpkg/dpkg.cfg.d/cio-host-test

# The machine shares the host's network, since the test's S3 server listens on the loopback. basic.target starts the
# sockets, and no other services that happen to be installed. Outside of a container every service may lock memory up to
# its limit, hence @memlock. Without CAP_NET_ADMIN, newer versions of systemd ignore PrivateNetwork=yes.
exec systemd-nspawn --quiet --directory=/run/root --machine="$name" --boot --register=no --keep-unit \
  --link-journal=no --capability=CAP_NET_ADMIN --system-call-filter=@memlock --tmpfs="$checkout" \
  systemd.unit=basic.target systemd.firstboot=no
