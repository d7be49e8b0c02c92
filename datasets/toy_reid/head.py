"""Draws a head: hair, face and hat."""

import math

from datasets.toy_reid.figure import Figure, Point, tone


def head(figure: Figure) -> None:
    """Draws neck, hair, face and hat."""
    p = figure.person
    facing = figure.cos
    centre = figure.at(0, 0.012, 0.925)
    wide = math.hypot(0.050 * figure.cos, 0.060 * figure.sin)
    covered = p.hair_style != "bald"
    figure.limb(figure.at(0, 0, 0.835), figure.at(0, 0.008, 0.90), 0.062, 0.056, tone(p.skin, 0.85))
    if covered and p.hair_style == "long" and facing < 0.5:
        long_hair(figure)
    figure.blob(centre, wide, 0.066, p.hair if covered else p.skin)
    if facing > -0.55:  # The face: a lighter mask that slides round the head.
        x = centre[0] + wide * 0.42 * figure.sin * figure.scale
        shrink = 0.84 if facing > 0.3 else 0.62
        low = centre[1] + 0.012 * figure.scale
        figure.blob((x, low), wide * shrink, 0.054, p.skin)
        shade = wide * 0.5 * figure.sun
        figure.blob(
            (x - shade * figure.scale * 0.7, low), wide * shrink * 0.5, 0.046, tone(p.skin, 0.86)
        )
        if facing > -0.2:
            eye = 0.022 * max(facing, 0.3)
            for side in (-1, 1):
                shift = (0.022 * figure.sin + side * eye) * figure.scale
                figure.blob(
                    (x + shift, low - 0.012 * figure.scale), 0.006, 0.004, tone(p.skin, 0.4)
                )
            figure.blob(
                (x + 0.02 * figure.sin * figure.scale, low + 0.03 * figure.scale),
                0.013,
                0.004,
                tone(p.skin, 0.66),
            )
    if p.hair_style == "tail" and facing < 0.5:
        figure.limb(figure.at(0, -0.055, 0.945), figure.at(0, -0.085, 0.85), 0.045, 0.022, p.hair)
    if p.hat != "none":
        _hat(figure, centre, wide)


def long_hair(figure: Figure) -> None:
    """Draws hair that falls on the shoulder blades."""
    p = figure.person
    figure.limb(figure.at(0, -0.012, 0.93), figure.at(0, -0.028, 0.79), 0.108, 0.096, p.hair)


def _hat(figure: Figure, centre: Point, wide: float) -> None:
    p, u = figure.person, figure.scale
    x, y = centre
    box = (x - wide * 1.08 * u, y - 0.074 * u, x + wide * 1.08 * u, y + 0.05 * u)
    if p.hat == "hood":
        figure.garment(0.82, 0.85, p.top_colour, 1.1)
        figure.pen.arc(box, 0, 360, fill=p.top_colour, width=max(2, int(0.02 * u)))
        figure.pen.pieslice(box, 180, 360, fill=p.top_colour)
        return
    figure.pen.pieslice(box, 180, 360, fill=p.hat_colour)
    rim = y - 0.012 * u
    if p.hat == "cap" and figure.cos < -0.5:
        return  # The brim is on the far side.
    if p.hat == "cap":
        tip = x + (0.085 * figure.sin) * u
        reach = 0.045 + 0.02 * abs(figure.sin)
        figure.pen.ellipse(
            (tip - reach * u, rim - 0.01 * u, tip + reach * u, rim + 0.012 * u),
            fill=tone(p.hat_colour, 0.7),
        )
    else:
        figure.pen.rectangle(
            (box[0], rim - 0.02 * u, box[2], rim + 0.004 * u), fill=tone(p.hat_colour, 0.78)
        )
        figure.blob((x, box[1]), 0.016, 0.016, tone(p.hat_colour, 1.2))
