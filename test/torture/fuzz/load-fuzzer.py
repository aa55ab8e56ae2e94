"""Connects to a LOAD socket repeatedly, from addresses that systemd never uses, with data that systemd never sends.

Usage: load-fuzzer.py SOCKET SEED TIMES BYTES    BYTES is the length of a refusal; prints counts of the answers as JSON
"""

import json
import random
import socket
import sys

path, seed, times, refusal = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
UNITS = ["restic.service", "restic@home.service", "init.scope", "", "..", "a" * 60, "restic.service\0", "é.service", "*"]
IDS = ["token", "cio_aws_access_key", "", "..", "../token", "token\0", "\u202e", "%s", "UPPER", "a" * 40, "token\n"]
MARK = b"ECHO-CANARY"


def address():
    """Returns a random address to bind; None for a peer that binds none."""
    kind = chance.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        return b"\0" + chance.randbytes(chance.randrange(1, 107))
    number = chance.choice(["%x" % chance.getrandbits(64), "", "xyz", "0" * 17, "%X" % chance.getrandbits(32)])
    between = chance.choice(["/unit/", "/unit/", "/unit/", "/unit", "//", "/user/"])
    text = number + between + chance.choice(UNITS) + chance.choice(["/", "/", "/", "", "//"]) + chance.choice(IDS)
    end = ("/%x" % chance.getrandbits(40)) if chance.randrange(4) == 0 else ""
    return b"\0" + (text + end).encode()[:106]


def connect():
    """Connects from a random address, trying again if another peer has bound that."""
    while True:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(30)
        own = address()
        try:
            if own is not None:
                peer.bind(own)
            peer.connect(path)
            return peer
        except OSError:
            peer.close()


seen = {"refused": 0, "left": 0, "wrong": []}
for turn in range(times):
    peer = connect()
    try:
        if chance.randrange(2):
            peer.sendall(MARK + chance.randbytes(chance.choice([0, 1, 100, 70000])))
        if chance.randrange(8) == 0:
            # A peer that disconnects, possibly in the middle of the answer.
            if chance.randrange(2):
                peer.recv(1000)
            seen["left"] += 1
            continue
        if chance.randrange(4):
            peer.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        # The daemon answered and closed the connection before everything was sent.
        pass
    length = 0
    isZero = True
    end = "end"
    try:
        while piece := peer.recv(1 << 20):
            length += len(piece)
            isZero = isZero and not any(piece)
    except OSError as error:
        end = type(error).__name__
    finally:
        peer.close()
    if length == refusal and isZero:
        seen["refused"] += 1
    elif end == "end" or not isZero or length > refusal:
        seen["wrong"].append("turn %d: %d bytes, then %s" % (turn, length, end))
    else:
        # systemd, too, treats a connection that breaks before the end of the answer as a failure.
        seen["left"] += 1
seen["wrong"] = seen["wrong"][:10]
print(json.dumps(seen))
