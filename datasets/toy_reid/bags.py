"""Draws bags: on the back, on the hip, in the hand, and the umbrella."""

import math

import numpy as np

from datasets.toy_reid.figure import Figure, Point, tone


def backpack(figure: Figure) -> None:
    """Draws the pack itself, behind the shoulder blades."""
    p, u = figure.person, figure.scale
    x, y = figure.at(0, -0.105, 0.70)
    wide = math.hypot(0.098 * figure.cos, 0.055 * figure.sin) * u
    box = (x - wide, y - 0.115 * u, x + wide, y + 0.115 * u)
    figure.pen.rounded_rectangle(box, 0.04 * u, fill=tone(p.bag_colour, 0.8))
    inner = (x - wide * 0.8, y - 0.10 * u, x + wide * 0.85, y + 0.09 * u)
    figure.pen.rounded_rectangle(inner, 0.035 * u, fill=p.bag_colour)
    figure.pen.rounded_rectangle(
        (x - wide * 0.6, y + 0.01 * u, x + wide * 0.6, y + 0.08 * u),
        0.02 * u,
        fill=tone(p.bag_colour, 1.25),
    )


def straps(figure: Figure) -> None:
    """Draws the backpack's straps, on the chest."""
    p = figure.person
    for azimuth in (-0.75, 0.6):
        figure.patch(azimuth, azimuth + 0.17, 0.66, 0.835, tone(p.bag_colour, 0.85), 1.06)


def shoulder_bag(figure: Figure) -> None:
    """Draws a bag on the left hip, its strap over the right shoulder."""
    p, u = figure.person, figure.scale
    dark = tone(p.bag_colour, 0.75)
    steps = np.linspace(0, 1, 9)
    heights = 0.83 + (p.leg + 0.03 - 0.83) * steps
    for azimuths in (-0.5 + 1.85 * steps, -2.64 - 1.85 * steps):  # Chest, back.
        band = [
            figure.on_torso(a, y, 1.06)
            for a, y in zip(azimuths, heights, strict=True)
            if math.cos(a + figure.pose.heading) > 0
        ]
        if len(band) > 1:
            figure.pen.line(band, fill=dark, width=max(2, int(0.017 * u)))
    x, y = figure.at(0.115 * p.girth, -0.01, p.leg - 0.01)
    half = (0.045 + 0.045 * abs(figure.sin)) * u
    figure.pen.rounded_rectangle(
        (x - half, y - 0.055 * u, x + half, y + 0.065 * u), 0.015 * u, fill=p.bag_colour
    )
    figure.pen.rectangle((x - half, y - 0.05 * u, x + half, y - 0.005 * u), fill=dark)


def handbag(figure: Figure, hand: Point) -> None:
    """Draws a bag that hangs from a hand."""
    p, u = figure.person, figure.scale
    x, y = hand
    wide = (0.055 + 0.03 * abs(figure.sin)) * u
    figure.pen.line(
        (x - wide * 0.5, y + 0.045 * u, x, y, x + wide * 0.5, y + 0.045 * u),
        fill=tone(p.bag_colour, 0.6),
        width=2,
    )
    figure.pen.rectangle((x - wide, y + 0.04 * u, x + wide, y + 0.125 * u), fill=p.bag_colour)
    figure.pen.rectangle(
        (x - wide, y + 0.04 * u, x + wide, y + 0.055 * u), fill=tone(p.bag_colour, 0.7)
    )


def umbrella(figure: Figure, hand: Point) -> None:
    """Draws an open umbrella above the head, held by a hand."""
    x, y = hand
    u = figure.scale
    colour = figure.person.bag_colour
    top = figure.foot[1] - 1.10 * u
    figure.pen.line((x, y, x, top), fill=(70, 70, 74), width=3)
    figure.pen.pieslice((x - 0.27 * u, top, x + 0.27 * u, top + 0.34 * u), 180, 360, fill=colour)
    figure.pen.pieslice(
        (x - 0.10 * u, top, x + 0.10 * u, top + 0.34 * u), 180, 360, fill=tone(colour, 1.2)
    )
