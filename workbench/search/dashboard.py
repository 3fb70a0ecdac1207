"""Optuna's dashboard over a home's journal, read-only: a search relies on all that the dashboard could change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import servers
from workbench.errors import StudyError
from workbench.home import Home

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

PORT = 8080

_READ_METHODS = ("GET", "HEAD")
# Other hosts are refused against DNS rebinding: another site's name may resolve to this machine.
_HOSTS = ("127.0.0.1", "localhost")


@contextmanager
def serve(home: Home, port: int) -> Iterator[servers.Server]:
    """Run optuna-dashboard while the context lasts; it lists each study once for each of its families.

    Args:
        home: the home whose studies are shown.
        port: the port to listen on, which must be free.

    Raises:
        StudyError: the home has no trial.
    """
    if not home.journal.exists():
        raise StudyError(f"{home.path}: there is no trial here yet. Run a study, or name its home with --home.")
    with servers.start("Optuna's dashboard", __name__, str(home.journal), str(port), port=port) as server:
        yield server


def application(journal: Path) -> WSGIApplication:
    """Return the dashboard as a read-only WSGI application that answers this machine only."""
    import optuna
    import optuna_dashboard

    from workbench.search.journal import open_storage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _restrict(optuna_dashboard.wsgi(open_storage(journal)))


def _restrict(inner: Callable[..., Iterable[bytes]]) -> WSGIApplication:
    """Refuse requests from other hosts, and requests that write."""

    def restrict(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        if host not in _HOSTS:
            reason = "This page is for this machine only."
        elif environ["REQUEST_METHOD"] not in _READ_METHODS:
            reason = "Studies of workbench are shown here and cannot be changed."
        else:
            return inner(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return restrict


def _main(journal: str, port: str) -> None:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class ThreadingServer(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class QuietHandler(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with make_server(servers.HOST, int(port), application(Path(journal)), ThreadingServer, QuietHandler) as server:
        server.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
