"""What a suite calls localhost:6379 is the server that MESH_SUITE_STORE names; Python reads this file by itself.

RQ's and huey's suites have no setting for it.
"""

import os
import socket

host, port = os.environ["MESH_SUITE_STORE"].rsplit(":", 1)
resolve = socket.getaddrinfo


def getaddrinfo(name, number, *rest, **more):
    if str(number) == "6379" and name in ("localhost", "127.0.0.1"):
        name, number = host, int(port)
    return resolve(name, number, *rest, **more)


socket.getaddrinfo = getaddrinfo
