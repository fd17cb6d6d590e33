"""An address on loopback that stays one's own between two lives of a broker."""

import socket


class Address:
    """A port that is bound but does not listen: trucd may listen there (both sides set SO_REUSEADDR), and nobody who asks the
    system for a free port gets it while trucd is down. Otherwise a client that looks for a killed broker could meet another one,
    and be right to end with LOG_MISMATCH."""

    def __init__(self):
        self.held = socket.socket()
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("127.0.0.1", 0))
        self.url = "tcp://127.0.0.1:%d" % self.held.getsockname()[1]

    def release(self):
        self.held.close()
