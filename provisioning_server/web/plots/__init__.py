"""Plots of the web page: numbers in, shapes and texts out; the template draws them as SVG with a table."""
