"""The first Ctrl-C during a search ends the search alone; the second ends the command.

Every command imports this module, so the events of a search are imported when there is one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.search.events import Event

STATUS = 130
"""The exit status of an interrupted command."""


def interrupt(*_: object) -> None:
    """Interrupt the command, which then puts back its running trials; a second Ctrl-C exits at once."""
    signal.signal(signal.SIGINT, exit_at_once)
    raise KeyboardInterrupt


def exit_at_once(*_: object) -> None:
    """Exit without the libraries' own cleanup, which takes seconds; everything is saved already."""
    os._exit(STATUS)


class StopRequest:
    """A request to end a search, made by Ctrl-C or SIGTERM.

    Only a search with a complete trial can be ended so: its trials are blended and the submission is written. Before
    that and afterwards, the signal interrupts the command.
    """

    def __init__(self) -> None:
        """Take over the signals."""
        self._can_wait = self._is_made = False
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    def is_made(self) -> bool:
        """Return whether the search must end."""
        return self._is_made

    def watch(self, show: Callable[[Event], object]) -> Callable[[Event], None]:
        """Return a listener that passes events on to `show`, and notes when there is something to blend."""
        from workbench.models import BASELINE
        from workbench.search.events import Stopped, TrialEnded

        def listen(event: Event) -> None:
            match event:
                case TrialEnded(trial) if trial.state == "complete" and trial.family != BASELINE:
                    self._can_wait = True
                case Stopped():
                    self._can_wait = False
            show(event)

        return listen

    def exit_if_made(self) -> None:
        """Exit if the search was ended by a signal."""
        if self._is_made:
            sys.stdout.flush()
            exit_at_once()

    def _handle(self, *_: object) -> None:
        if not self._can_wait:
            interrupt()
        self._is_made = True
        signal.signal(signal.SIGINT, exit_at_once)
        signal.signal(signal.SIGTERM, exit_at_once)
