#!/bin/sh
# Boots systemd on a throw-away copy of a root, this host's or another one: what is installed is there, what is written is
# gone at the end.
# Runs as the first process of its own mount and process namespaces, so that its end ends and unmounts all of it.
# Usage: boot.sh NAME ROOT CHECKOUT CGROUP…
set -eu
name=$1 root=$2 checkout=$3
shift 3
cd "$root"

# A cgroup of its own: nspawn calls the machine's `payload` wherever it is, so two machines would share one.
for cgroup; do
  mkdir "$cgroup"
  echo 0 > "$cgroup/cgroup.procs"
done

# For what is written, and for the folders that nspawn leaves here.
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/root
mount -t overlay overlay -o lowerdir=.,upperdir=/run/upper,workdir=/run/work /run/root
cd /

# Where packages must not start their services, as in a container image, this says so; here they must.
rm -f /run/root/usr/sbin/policy-rc.d
# The package brings its own Node, and needs nothing of the checkout.
rm -f /run/root/usr/bin/node /run/root/usr/bin/nodejs /run/root/usr/local/bin/node

# dpkg would wait for the host's disks at each step, and nothing here is to survive anything.
mkdir -p /run/root/etc/dpkg/dpkg.cfg.d
echo force-unsafe-io > /run/root/etc/dpkg/dpkg.cfg.d/cio-host-test

# The network is the host's: a test's S3 server listens on its loopback. basic.target has the sockets and nothing of
# what else happens to be installed. Locking memory, up to its limit, is open to every service outside of a container.
# Without CAP_NET_ADMIN newer versions of systemd leave a unit with PrivateNetwork=yes the network that it has.
exec systemd-nspawn --quiet --directory=/run/root --machine="$name" --boot --register=no --keep-unit \
  --link-journal=no --capability=CAP_NET_ADMIN --system-call-filter=@memlock --tmpfs="$checkout" \
  systemd.unit=basic.target systemd.firstboot=no
