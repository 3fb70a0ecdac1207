"""Optuna's dashboard over a home's journal, to look at only: what it would change is what a search relies on."""

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

_READING = ("GET", "HEAD")
# A page of another site that has its name lead here would have that name as the host.
_HOSTS = ("127.0.0.1", "localhost")


@contextmanager
def serve(home: Home, port: int) -> Iterator[servers.Server]:
    """Run optuna-dashboard while the context lasts: every study is there once for each of its families.

    Args:
        home: whose studies to show.
        port: the port to listen on, which must be free.

    Raises:
        StudyError: there is nothing to show.
    """
    if not home.journal.exists():
        raise StudyError(f"{home.path}: there is no trial here yet. Run a study, or name its home with --home.")
    with servers.start("Optuna's dashboard", __name__, str(home.journal), str(port), port=port) as server:
        yield server


def application(journal: Path) -> WSGIApplication:
    """Return the dashboard as a WSGI application that changes nothing and answers this machine only."""
    import optuna
    import optuna_dashboard

    from workbench.search.journal import storage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _guarded(optuna_dashboard.wsgi(storage(journal)))


def _guarded(inner: Callable[..., Iterable[bytes]]) -> WSGIApplication:
    def guarded(environ: dict[str, Any], respond: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        if host not in _HOSTS:
            reason = "This page is for this machine only."
        elif environ["REQUEST_METHOD"] not in _READING:
            reason = "Studies of workbench are shown here and cannot be changed."
        else:
            return inner(environ, respond)
        respond("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return guarded


def _main(journal: str, port: str) -> None:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Threads(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing of a request that was answered."""

    with make_server(servers.HOST, int(port), application(Path(journal)), Threads, Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
