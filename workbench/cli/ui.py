"""The command `workbench ui`: starts the servers, prints their links, and waits until it is interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

from workbench import servers
from workbench.cli import terminal
from workbench.home import Home

# Studies whose links are printed below that of the newest.
_MAX_LINKS = 9


class _Page(NamedTuple):
    """A server to start, with its preferred port and a description of its page."""

    serve: Callable[[Home, int], AbstractContextManager[servers.Server]]
    port: int
    content: str
    path: str


def show(home: Home, port: int, *, dashboard: bool, tensorboard: bool, browser: bool) -> None:
    """Serve the pages of a home until this process is interrupted.

    Args:
        home: the home with the studies.
        port: the port of MLflow; if it is taken, a free port near it is used.
        dashboard: whether to start Optuna's dashboard as well.
        tensorboard: whether to start TensorBoard as well.
        browser: whether to open the page of the newest study in the browser.
    """
    pages = _list_pages(port, dashboard=dashboard, tensorboard=tensorboard)
    with ExitStack() as stack:
        started: list[servers.Server] = []
        for serve, preferred, _, _ in pages:
            reserved = stack.enter_context(servers.reserve_port(preferred))
            started.append(stack.enter_context(serve(home, reserved)))
            if reserved != preferred:
                terminal.print_message(f"Port {preferred} is taken; {started[-1].name} gets {reserved}.")
        terminal.print_message(f"Starting {', '.join(server.name for server in started)} …")
        for server in started:
            server.wait()
        link = _print_links(home, started[0])
        for server, (_, _, content, path) in list(zip(started, pages, strict=True))[1:]:
            terminal.print_line(f"{server.name} shows {content} at {server.address}{path}")
        terminal.print_line("Ctrl-C ends it." if len(started) == 1 else "Ctrl-C ends them.")
        if browser:
            import webbrowser

            webbrowser.open(link)
        while True:
            for server in started:
                server.check()
            time.sleep(1)


def _list_pages(port: int, *, dashboard: bool, tensorboard: bool) -> list[_Page]:
    """Return the pages to serve, MLflow first, after a check that the required packages are installed."""
    from workbench.tracking import mlflow_ui

    pages = [_Page(mlflow_ui.serve, port, "", "")]
    if dashboard:
        servers.require("optuna_dashboard", option="--dashboard")
        from workbench.search import dashboard as optuna

        pages.append(_Page(optuna.serve, optuna.PORT, "the search of each family", "/dashboard"))
    if tensorboard:
        servers.require("tensorboard", option="--tensorboard")
        from workbench.tracking import tensorboard as curves

        pages.append(_Page(curves.serve, curves.PORT, "the losses of each fold", curves.PAGE))
    return pages


def _print_links(home: Home, server: servers.Server) -> str:
    """Print the links of the studies, the newest first, and return the link of the newest."""
    from workbench.tracking import mlflow_ui, run_view

    pages = mlflow_ui.pages(home, server)
    link = next(iter(pages.values()), f"{server.address}/{run_view.ALL_STUDIES}")
    terminal.print_line(f"Home: {home.path}")
    terminal.print_line(f"MLflow shows the studies at {link}")
    older = list(pages.items())[1 : _MAX_LINKS + 1]
    width = max([len(study) for study, _ in older], default=0)
    for study, page in older:
        terminal.print_line(f"  {study:<{width}}  {page}")
    if len(pages) > _MAX_LINKS + 1:
        terminal.print_line(f"  … and {len(pages) - _MAX_LINKS - 1} more at {server.address}/{run_view.ALL_STUDIES}")
    return link
