"""Contrast of two colours as WCAG 2.2 defines it, and how much it asks for."""

from __future__ import annotations

ENOUGH_FOR_TEXT = 4.5  # WCAG 2.2, 1.4.3, level AA
ENOUGH_FOR_EDGES = 3.0  # 1.4.11


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """As WCAG defines it: 1 for the same colour, 21 for black on white."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)
