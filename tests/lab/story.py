"""Telling a demonstration step by step, and checking what it claims."""

import os
import sys
import textwrap
import time
from contextlib import contextmanager

_WIDTH = 100
_COLOURS = {"bold": "1", "dim": "2", "red": "31;1", "green": "32"}


class Stopped(Exception):
    """A step could not be carried out, so those after it make no sense."""


class Story:
    """Prints titles, steps and what they show; counts the claims that did not hold."""

    def __init__(self, out=sys.stdout):
        self._out = out
        # A terminal that can't show a character shall not end the story.
        self._out.reconfigure(errors="replace")
        self._coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._steps = 0
        self._held = 0
        self.failures = 0

    def _print(self, text="", indent=0, colour=None):
        for line in text.splitlines() or [""]:
            for part in self._wrapped(line, indent):
                print(self._in_colour(part.rstrip(), colour), file=self._out, flush=True)

    def _in_colour(self, text, colour):
        if not colour or not self._coloured:
            return text
        return f"\033[{_COLOURS[colour]}m{text}\033[0m"

    @staticmethod
    def _wrapped(line, indent):
        own = len(line) - len(line.lstrip())
        return textwrap.wrap(
            line.rstrip(),
            _WIDTH,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + own + 2),
            drop_whitespace=False,
            break_on_hyphens=False,
        ) or [""]

    def title(self, text):
        """Begin a chapter."""
        self._print()
        self._print(f"== {text} ".ljust(_WIDTH, "="), colour="bold")
        self._print()

    def show(self, text):
        """Show what a command printed or a file holds."""
        self._print(text.strip("\n"), indent=6, colour="dim")

    def picture(self, text):
        """Show a drawing, with space below."""
        self._print(text.strip("\n"), indent=6)
        self._print()

    def command(self, text, host=None):
        """Show a command as one would type it."""
        self._print(f"{f'[{host}] ' if host else ''}$ {text}", indent=4)

    @contextmanager
    def step(self, text):
        """Announce a step, and its outcome once the block has ended."""
        self._steps += 1
        failures, started = self.failures, time.monotonic()
        self._print(f"{self._steps:2}. {text} ...", colour="bold")
        try:
            yield
        except Exception as err:
            self._fail(str(err) or type(err).__name__)
            raise Stopped(text) from err
        finally:
            if self.failures > failures:
                self._print("FAILED", indent=4, colour="red")
            elif not sys.exc_info()[0]:
                self._print(f"ok ({time.monotonic() - started:.1f} s)", indent=4, colour="green")
            self._print()

    def claim(self, holds, text):
        """Say that something is so; it is a failure if that is not true."""
        if holds:
            self._held += 1
            self._print(f"+ {text}", indent=4, colour="green")
        else:
            self._fail(f"not true: {text}")

    def _fail(self, text):
        self.failures += 1
        self._print(f"! {text}", indent=4, colour="red")

    def summary(self):
        """Say how many claims held, and whether all went well."""
        self.title("Summary")
        if self.failures:
            self._print(f"FAILED: {self._held} claims hold, {self.failures} failures", colour="red")
        else:
            self._print(f"ok: all {self._held} claims hold", colour="green")
