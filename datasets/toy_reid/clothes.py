"""Draws clothes of the torso and skirts."""

import math

import numpy as np

from datasets.toy_reid.figure import Figure, tone


def lower(figure: Figure) -> None:
    """Draws the seat of the trousers, or the skirt, over the legs."""
    p = figure.person
    figure.garment(p.leg - 0.05, p.leg + 0.06, p.bottom_colour)
    if p.bottom not in ("skirt", "dress"):
        return
    hem = p.leg - (0.17 if p.bottom == "skirt" else 0.22)
    colour = p.top_colour if p.bottom == "dress" else p.bottom_colour
    figure.garment(hem, p.leg + 0.05, colour, 1.12)


def upper(figure: Figure) -> None:
    """Draws shirt, jacket or coat on the torso, with its pattern."""
    p = figure.person
    low, high = p.hem, 0.86
    ease = {"coat": 1.16, "jacket": 1.1}.get(p.top, 1.02)
    figure.garment(low, high, p.top_colour, ease)
    if p.pattern == "rows":
        for y in np.arange(low + 0.02, 0.81, 0.062):
            figure.garment(y, y + 0.028, p.trim, ease)
    elif p.pattern in ("columns", "checks"):
        for a in np.arange(-math.pi, math.pi, 0.62):
            figure.patch(a, a + 0.24, low, 0.82, p.trim, ease)
        if p.pattern == "checks":
            for y in np.arange(low + 0.01, 0.80, 0.07):
                figure.garment(y, y + 0.016, tone(p.trim, 0.75), ease)
    elif p.pattern == "dots":
        for i, y in enumerate(np.arange(low + 0.02, 0.80, 0.055)):
            for a in np.arange(-math.pi, math.pi, 0.7) + 0.35 * (i % 2):
                seen = figure.visible(a, a + 0.01)
                if seen:
                    figure.blob(figure.on_torso(a, y, ease), 0.011, 0.011, p.trim)
    elif p.pattern == "logo":
        figure.patch(-0.5, 0.5, 0.685, 0.765, p.trim, ease)
    elif p.pattern == "two-tone":
        figure.garment(0.715, high, p.trim, ease)
    elif p.pattern == "open":
        figure.patch(-0.36, 0.36, low, 0.85, p.trim, ease)
        figure.patch(-0.36, -0.24, low, 0.84, tone(p.top_colour, 0.6), ease)
        figure.patch(0.24, 0.36, low, 0.84, tone(p.top_colour, 0.6), ease)
    if p.top == "coat":
        figure.patch(-0.03, 0.03, low, 0.82, tone(p.top_colour, 0.5), ease)
        figure.garment(p.leg + 0.09, p.leg + 0.105, tone(p.top_colour, 0.65), ease)
