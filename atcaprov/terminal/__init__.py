"""Terminals: raw keys, blocking and on an event loop, and text that is safe to show on one.

Import the modules: this package imports nothing, so that printing a text does not load an event loop.
"""
