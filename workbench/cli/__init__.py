"""The command line: one command for each verb.

commands        the commands and their options
progress        the progress of a search: a live display on a terminal, one line per trial elsewhere, a file of events
console_tables  the leaderboard and the ensemble as tables
summary_output  the output at the end of a run
interruption    Ctrl-C, which ends the search first and the command next
terminal        lines and tables with every text literal, on any terminal
json_output     the output of `--json`
ui              the command `ui`
"""

from __future__ import annotations

from workbench.cli.commands import main

__all__ = ["main"]
