"""A WSGI application behind a real server, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import waitress
from waitress import wasyncore

from tests.support.addresses import address


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL of a server for an application, until it is left."""
    ip, sockets = address(), dict[int, Any]()
    server = waitress.create_server(app, map=sockets, host=ip, port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://{ip}:{server.effective_port}"
    finally:
        # Its own thread closes the sockets, and so ends: closed here, they would go while it waits on them.
        server.trigger.pull_trigger(partial(wasyncore.close_all, sockets))
        thread.join(10)
        assert not thread.is_alive(), "the server has not ended"
        server.task_dispatcher.shutdown()
