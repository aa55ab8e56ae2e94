"""Connects to a LOAD socket as systemd does, from an abstract address, and writes the answer to standard output.

Usage: load-peer.py SOCKET [ADDRESS]    without ADDRESS it does not bind one
"""

import socket
import sys

peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if len(sys.argv) > 2:
    peer.bind("\0" + sys.argv[2])
peer.connect(sys.argv[1])
peer.shutdown(socket.SHUT_WR)
while piece := peer.recv(65536):
    sys.stdout.buffer.write(piece)
