"""An application behind waitress, at a loopback address of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import waitress
from flask import Flask

from tests.support.addresses import address


@contextmanager
def serving_app(app: Flask) -> Iterator[str]:
    """Serve it; the URL."""
    ip = address()
    server = waitress.create_server(app, host=ip, port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://{ip}:{server.effective_port}"
    finally:
        # In the server's own thread: that may be waiting for the very sockets which are closed here.
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        thread.join(10)
        server.task_dispatcher.shutdown()
        assert not thread.is_alive(), "the server has not ended"
