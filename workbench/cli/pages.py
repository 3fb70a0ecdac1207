"""What `workbench ui` does: starts servers, says where their pages are, and waits until it is to end."""

import sys
import time
from contextlib import ExitStack

from workbench import servers
from workbench.home import Home

# Studies whose links are printed beside the newest one's.
_MOST = 9


def show(home: Home, port: int, *, dashboard: bool, tensorboard: bool, browser: bool) -> None:
    """Serve a home's pages until this process is interrupted.

    Args:
        home: whose studies to show.
        port: where MLflow is to be; a free port near it when it is taken.
        dashboard: whether Optuna's dashboard is to be there too.
        tensorboard: whether TensorBoard is to be there too.
        browser: whether to open the newest study's page in the user's browser.
    """
    from workbench.tracking import ui

    wanted = [(ui.serve, port)]
    if dashboard:
        servers.require("optuna_dashboard", option="--dashboard", extra="dashboard")
        from workbench.search import dashboard as optuna

        wanted.append((optuna.serve, optuna.PORT))
    if tensorboard:
        servers.require("tensorboard", option="--tensorboard", extra="tensorboard")
        from workbench.tracking import tensorboard as curves

        wanted.append((curves.serve, curves.PORT))
    with ExitStack() as stack:
        started: list[servers.Server] = []
        for serve, near in wanted:
            given = servers.free(near, but=[server.port for server in started])
            started.append(stack.enter_context(serve(home, given)))
            if given != near:
                print(f"Port {near} is taken; {started[-1].name} gets {given}.", file=sys.stderr)
        print(f"Starting {', '.join(server.name for server in started)} …", file=sys.stderr)
        for server in started:
            server.wait()
        _tell(ui.pages(home, started[0]), started, browser=browser)
        while True:
            for server in started:
                server.check()
            time.sleep(1)


def _tell(pages: dict[str, str], started: list[servers.Server], *, browser: bool) -> None:
    """Print the links, the newest study's first."""
    mlflow, *others = started
    link = next(iter(pages.values()), mlflow.address)
    print(f"MLflow shows the studies at {link}")
    older = list(pages.items())[1 : _MOST + 1]
    width = max([len(study) for study, _ in older], default=0)
    for study, page in older:
        print(f"  {study:<{width}}  {page}")
    if len(pages) > len(older) + 1:
        print(f"  … and {len(pages) - len(older) - 1} more at {mlflow.address}")
    for server in others:
        print(f"{server.name} is at {server.address}")
    print("Ctrl-C ends it." if not others else "Ctrl-C ends them.", flush=True)
    if browser:
        import webbrowser

        webbrowser.open(link)
