"""What `workbench ui` does: starts servers, says where their pages are, and waits until it is to end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

from workbench import servers
from workbench.home import Home

# Studies whose links are printed below the newest one's.
_MOST = 9


class _Wanted(NamedTuple):
    """Pages that the user wants to see."""

    serve: Callable[[Home, int], AbstractContextManager[servers.Server]]
    port: int
    shows: str
    page: str


def show(home: Home, port: int, *, dashboard: bool, tensorboard: bool, browser: bool) -> None:
    """Serve a home's pages until this process is interrupted.

    Args:
        home: whose studies to show.
        port: where MLflow is to be; a free port near it when it is taken.
        dashboard: whether Optuna's dashboard is to be there too.
        tensorboard: whether TensorBoard is to be there too.
        browser: whether to open the newest study's page in the user's browser.
    """
    wanted = _wanted(port, dashboard=dashboard, tensorboard=tensorboard)
    with ExitStack() as stack:
        started: list[servers.Server] = []
        for serve, near, _, _ in wanted:
            given = stack.enter_context(servers.reserve_port(near))
            started.append(stack.enter_context(serve(home, given)))
            if given != near:
                print(f"Port {near} is taken; {started[-1].name} gets {given}.", file=sys.stderr)
        print(f"Starting {', '.join(server.name for server in started)} …", file=sys.stderr)
        for server in started:
            server.wait()
        link = _tell_of_studies(home, started[0])
        for server, (_, _, shows, page) in list(zip(started, wanted, strict=True))[1:]:
            print(f"{server.name} shows {shows} at {server.address}{page}")
        print("Ctrl-C ends it." if len(started) == 1 else "Ctrl-C ends them.", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(link)
        while True:
            for server in started:
                server.check()
            time.sleep(1)


def _wanted(port: int, *, dashboard: bool, tensorboard: bool) -> list[_Wanted]:
    """Return what is wanted, MLflow first, having seen that it is installed."""
    from workbench.tracking import mlflow_ui

    wanted = [_Wanted(mlflow_ui.serve, port, "", "")]
    if dashboard:
        servers.require("optuna_dashboard", option="--dashboard")
        from workbench.search import dashboard as optuna

        wanted.append(_Wanted(optuna.serve, optuna.PORT, "the search of each family", "/dashboard"))
    if tensorboard:
        servers.require("tensorboard", option="--tensorboard")
        from workbench.tracking import tensorboard as curves

        wanted.append(_Wanted(curves.serve, curves.PORT, "the losses of each fold", curves.PAGE))
    return wanted


def _tell_of_studies(home: Home, server: servers.Server) -> str:
    """Print the links of the studies, the newest one's first, and return that."""
    from workbench.tracking import mlflow_ui, run_view

    pages = mlflow_ui.pages(home, server)
    link = next(iter(pages.values()), f"{server.address}/{run_view.ALL}")
    print(f"MLflow shows the studies at {link}")
    older = list(pages.items())[1 : _MOST + 1]
    width = max([len(study) for study, _ in older], default=0)
    for study, page in older:
        print(f"  {study:<{width}}  {page}")
    if len(pages) > _MOST + 1:
        print(f"  … and {len(pages) - _MOST - 1} more at {server.address}/{run_view.ALL}")
    return link
