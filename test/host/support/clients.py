"""Calls the daemon repeatedly, each time over a new connection, until STOP_FILE exists; then prints the outcomes.

Usage: clients.py SOCKET CREDENTIAL START_FILE STOP_FILE

Creates START_FILE once the first call has ended. Prints, as JSON, how often each outcome occurred: a value or an error.
"""

import collections
import json
import os
import socket
import sys

path, name, start_file, stop_file = sys.argv[1:]
call = json.dumps({"method": "io.cio.Credentials.Get", "parameters": {"name": name}}).encode() + b"\0"
outcomes = collections.Counter()


def answer():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(60)
    with peer:
        try:
            peer.connect(path)
            peer.sendall(call)
            received = b""
            while not received.endswith(b"\0"):
                piece = peer.recv(65536)
                if not piece:
                    return "closed without an answer"
                received += piece
        except OSError as error:
            return type(error).__name__
    reply = json.loads(received[:-1])
    return reply.get("error") or reply["parameters"]["value"]


while not os.path.exists(stop_file):
    outcomes[answer()] += 1
    if not os.path.exists(start_file):
        open(start_file, "w").close()
print(json.dumps(outcomes))
