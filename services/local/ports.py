"""Ports of this machine."""

import socket


def port_problem(port: int) -> str:
    """Why no server can listen there; empty when one can."""
    with socket.socket() as server:
        # what a server has left a moment ago is free
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            return f"port {port}: {error.strerror}"
    return ""
