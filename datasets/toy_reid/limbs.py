"""Draws arms and legs in a walking pose, with sleeves, trousers and shoes."""

import math

from datasets.toy_reid import bags
from datasets.toy_reid.figure import Figure, Point, tone


def leg(figure: Figure, side: int) -> None:
    """Draws one leg with trousers or shorts and the shoe.

    Args:
        figure: whose.
        side: 1 left, -1 right.
    """
    p, pose = figure.person, figure.pose
    phase = pose.phase if side > 0 else pose.phase + math.pi
    swing = pose.stride * math.sin(phase)
    bend = 1.5 * pose.stride * max(0.0, math.cos(phase)) + 0.06
    thigh, shin, hip = (p.leg - 0.03) * 0.52, (p.leg - 0.03) * 0.48, 0.046 * p.girth * side
    knee = (hip, thigh * math.sin(swing), p.leg - thigh * math.cos(swing))
    ankle = (
        hip * 0.85,
        knee[1] + shin * math.sin(swing - bend),
        knee[2] - shin * math.cos(swing - bend),
    )
    hip_at, knee_at, ankle_at = figure.at(hip, 0, p.leg), figure.at(*knee), figure.at(*ankle)
    g = 0.55 + 0.45 * p.girth
    toe = figure.at(ankle[0] + 0.012 * side, ankle[1] + 0.075, ankle[2] - 0.018)
    heel = figure.at(ankle[0], ankle[1] - 0.012, ankle[2] - 0.015)
    bare = p.bottom != "trousers"
    if bare:
        tights = p.bottom != "shorts" and not p.bare_arms
        below = (38, 36, 42) if tights else p.skin
        figure.limb(hip_at, knee_at, 0.105 * g, 0.066 * g, below)
        figure.limb(knee_at, ankle_at, 0.066 * g, 0.040 * g, below)
    figure.limb(heel, toe, 0.042, 0.036, p.shoes)
    if p.bottom == "trousers":
        figure.limb(knee_at, ankle_at, 0.074 * g, 0.060 * g, p.bottom_colour)
        figure.limb(hip_at, knee_at, 0.112 * g, 0.078 * g, p.bottom_colour)
    elif p.bottom == "shorts":
        t = 0.86
        cut = _between(hip_at, knee_at, t)
        figure.limb(hip_at, cut, 0.116 * g, 0.104 * g, p.bottom_colour)


def arm(figure: Figure, side: int) -> None:
    """Draws one arm with its sleeve and what the hand holds.

    Args:
        figure: whose.
        side: 1 left, -1 right.
    """
    p, pose = figure.person, figure.pose
    phase = pose.phase if side < 0 else pose.phase + math.pi
    swing = 0.8 * pose.stride * math.sin(phase)
    bend = 0.25 + 0.5 * max(0.0, swing)
    if p.bag == "umbrella" and side > 0:
        swing, bend = 0.25, 1.9
    shoulder = (0.092 * p.girth * side, 0.0, 0.805)
    elbow = (
        shoulder[0] + 0.022 * side,
        0.155 * math.sin(swing),
        shoulder[2] - 0.155 * math.cos(swing),
    )
    hand = (
        elbow[0] - 0.004 * side,
        elbow[1] + 0.145 * math.sin(swing + bend),
        elbow[2] - 0.145 * math.cos(swing + bend),
    )
    s, e, h = figure.at(*shoulder), figure.at(*elbow), figure.at(*hand)
    g = 0.5 + 0.5 * p.girth
    sleeve = p.trim if p.pattern == "two-tone" else p.top_colour
    figure.blob(h, 0.020, 0.024, tone(p.skin, 0.92))
    figure.limb(e, h, 0.046 * g, 0.034 * g, p.skin if p.bare_arms else sleeve)
    if p.bare_arms:
        figure.limb(s, e, 0.050 * g, 0.044 * g, p.skin)
        e = _between(s, e, 0.6)
    figure.limb(s, e, 0.062 * g, (0.058 if p.bare_arms else 0.050) * g, sleeve)
    if p.bag == "handbag" and side < 0:
        bags.handbag(figure, h)
    elif p.bag == "umbrella" and side > 0:
        bags.umbrella(figure, h)


def _between(start: Point, end: Point, share: float) -> Point:
    x, y = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return x, y
