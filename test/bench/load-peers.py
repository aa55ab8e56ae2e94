"""Fetches credentials from a LOAD socket as systemd does, each over a connection of its own from an abstract address.

Usage: load-peers.py SOCKET UNIT ID AT_ONCE

Each line on standard input is a number of seconds. For that long it fetches, with AT_ONCE connections open at a time,
and then writes one line: the number of fetches, the seconds they took, its own CPU time, the median time of one fetch
in microseconds, and the size of the last answer in bytes. With an empty UNIT it binds no address.
"""

import os
import socket
import sys
import time

path, unit, credential, at_once = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
# systemd uses a random number here. A number derived from the pid differs between runs at the same time.
serial = os.getpid() << 32


def open_one():
    """Returns a connected peer that has closed its sending side."""
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
    """Reads to the end; returns the number of bytes."""
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
