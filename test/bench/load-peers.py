"""Fetches credentials from a LOAD socket as systemd does, each over a connection of its own from an abstract address.

Usage: load-peers.py SOCKET UNIT ID AT_ONCE

For each line on standard input, a number of seconds, it fetches for so long, with AT_ONCE connections open at a time,
and writes one line: how many it fetched, the seconds that took, its own processor time, the median time of one in
microseconds, and how many bytes the last one had. With an empty UNIT it binds no address.
"""

import os
import socket
import sys
import time

path, unit, credential, at_once = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
# systemd takes a number at random; another run on this machine must not take the same.
serial = os.getpid() << 32


def open_one():
    """One peer, connected and with its own half closed."""
    global serial
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if unit:
        serial += 1
        peer.bind(f"\0{serial:x}/unit/{unit}/{credential}")
    started = time.perf_counter()
    peer.connect(path)
    peer.shutdown(socket.SHUT_WR)
    return peer, started


def read_all(peer):
    """How many bytes come until the end."""
    count = 0
    while piece := peer.recv(65536):
        count += len(piece)
    peer.close()
    return count


print("ready", flush=True)
for line in sys.stdin:
    begun, processor = time.perf_counter(), time.process_time()
    ends = begun + float(line)
    times, last = [], 0
    peers = [open_one() for _ in range(at_once)]
    while peers:
        peer, started = peers.pop(0)
        last = read_all(peer)
        now = time.perf_counter()
        times.append(now - started)
        if now < ends:
            peers.append(open_one())
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    print(len(times), seconds, used, sorted(times)[len(times) // 2] * 1e6, last, flush=True)
