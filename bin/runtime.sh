# Sourced by the launchers, with package= set. Sets node= to the Node that is installed with this package, regardless of
# the host's own. Usually, this starts no process.

# Options for programs that end with process.exit(). That waits for V8's threads, and would never return if one of them
# were compiling when the heap is full (nodejs/node#54918).
compiling='--no-concurrent-recompilation --no-concurrent-sparkplug'

# Node is in the package's own folder, or beside it if npm hoisted it. npm installs only the one for this machine.
for node in "$package"/node_modules/node-linux-*/bin/node "$package"/../node-linux-*/bin/node ''; do
  if [ -x "$node" ]; then return; fi
done

version=$(node --version 2>/dev/null) || version=none
major=${version#v}
major=${major%%.*}
case $major in *[!0-9]*) major=0 ;; esac
if [ "$major" -ge 24 ]; then
  node=node
  return
fi

echo "${self##*/}: needs Node 24, found: $version" >&2
echo "  Node 24 comes with the package's dependencies. Install them: (cd '$package' && npm ci)" >&2
exit 1
