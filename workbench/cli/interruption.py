"""The first Ctrl-C during a search ends the search alone; the second ends the command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from workbench.models import BASELINE
from workbench.search.events import Event, Stopped, TrialEnded


class StopRequest:
    """A request to end a search, made by Ctrl-C or SIGTERM.

    Only a search with a complete trial can be ended so: its trials are blended and the submission is written. Before
    that and afterwards, the signal interrupts the command.
    """

    def __init__(self, interrupt: Callable[..., object], exit_at_once: Callable[..., object]) -> None:
        """Take over the signals.

        Args:
            interrupt: the signal handler that interrupts the command.
            exit_at_once: the signal handler of a second signal.
        """
        self._interrupt, self._exit_at_once = interrupt, exit_at_once
        self._can_wait = False
        self.made = False
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    def is_made(self) -> bool:
        """Return whether the search must end."""
        return self.made

    def watch(self, show: Callable[[Event], object]) -> Callable[[Event], None]:
        """Return a listener that passes events on to `show`, and notes when there is something to blend."""

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
        if self.made:
            sys.stdout.flush()
            self._exit_at_once()

    def _handle(self, number: int, frame: Any) -> None:
        if not self._can_wait:
            self._interrupt(number, frame)
        self.made = True
        signal.signal(signal.SIGINT, self._exit_at_once)
        signal.signal(signal.SIGTERM, self._exit_at_once)
