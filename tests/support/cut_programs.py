"""Programs that end without a word before one of their steps, as at a power cut that loses nothing of the disk."""

from __future__ import annotations

import subprocess
import sys

_COUNTED = """
import importlib, os
left = {steps}
def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*arguments, **options)
    return call
for place in {places}:
    owner, _, name = place.rpartition(".")
    try:
        owner = importlib.import_module(owner)
    except ModuleNotFoundError:
        module, _, kind = owner.rpartition(".")
        owner = getattr(importlib.import_module(module), kind)
    setattr(owner, name, counted(getattr(owner, name)))
"""


def ends_after(steps: int, places: tuple[str, ...], program: str, *arguments: object) -> bool:
    """Run a program that ends before one of `places` is called for the `steps` + 1st time; return whether it did.

    `places` are functions and methods by their full names.
    """
    source = _COUNTED.format(steps=steps, places=places) + program
    done = subprocess.run([sys.executable, "-c", source, *map(str, arguments)], check=False)
    assert done.returncode in (0, 9)
    return done.returncode == 9
