"""One verb, one command.

commands  the verbs and their options
progress  a search as it happens: live on a terminal, a line a trial elsewhere
tables    leaderboard and ensemble as a person reads them
"""

from __future__ import annotations

from workbench.cli.commands import main

__all__ = ["main"]
