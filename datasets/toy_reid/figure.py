"""Draws parts of a body: a turned 3-D skeleton and a few shaded strokes.

The body is a small 3-D skeleton in body heights: `l` to the person's left, `f` forward, `y` up from
the ground. Turning it by the heading gives front, back and profile views from the same numbers; a
point on the torso is named by its azimuth from the breast bone, so that a logo is seen from the
front only, a backpack from behind and both narrower from the side.
"""

import dataclasses
import math

import numpy as np
from PIL import Image, ImageDraw

from datasets.toy_reid.wardrobe import Colour, Person

# Column and row in a picture, pixels.
Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Pose:
    """How a person walks, seen from the camera.

    Attributes:
        heading: direction walked, radians: 0 towards the camera, pi/2 to the right of the picture.
        phase: of the walking cycle, radians.
        stride: swing of the thighs, radians.
        lean: forward lean of the shoulders, body heights.
    """

    heading: float
    phase: float
    stride: float
    lean: float


def tone(colour: Colour, factor: float) -> Colour:
    """Returns a colour in shade (factor below 1) or in light."""
    red, green, blue = (int(min(255, max(0, c * factor))) for c in colour)
    return red, green, blue


class Figure:
    """One person in one pose on one layer, to be drawn stroke by stroke.

    Args:
        layer: RGBA picture to draw on.
        person: whom to draw.
        pose: how the person walks.
        foot: position between the feet.
        scale: height of this person, pixels.
        sun: side the light comes from: 1 right, -1 left.
    """

    def __init__(
        self,
        layer: Image.Image,
        person: Person,
        pose: Pose,
        foot: Point,
        scale: float,
        sun: float,
    ) -> None:
        self.pen = ImageDraw.Draw(layer)
        self.person, self.pose, self.scale, self.sun = person, pose, scale, sun
        self.foot = foot
        self.cos, self.sin = math.cos(pose.heading), math.sin(pose.heading)
        g, leg = person.girth, person.leg
        # Torso cross sections: height, half width, half depth.
        self.rows = np.array(
            [
                (0.30, 0.110 * g, 0.085 * g),
                (leg - 0.05, 0.096 * g, 0.074 * g),
                (leg + 0.02, 0.092 * g, 0.074 * g),
                (0.63, 0.082 * g, 0.062 * g),
                (0.74, 0.104 * g, 0.074 * g),
                (0.80, 0.110 * g, 0.064 * g),
                (0.835, 0.090 * g, 0.050 * g),
                (0.86, 0.036, 0.036),
            ]
        )

    # Geometry.

    def at(self, l: float, f: float, y: float) -> Point:  # noqa: E741
        """Returns where a body point is in the picture."""
        f += self.pose.lean * max(0.0, y - 0.5) * 2
        x = l * self.cos + f * self.sin
        return self.foot[0] + x * self.scale, self.foot[1] - y * self.scale

    def nearness(self, l: float, f: float) -> float:  # noqa: E741
        """Returns how far a body point is in front of the body's axis, towards the camera."""
        return f * self.cos - l * self.sin

    def on_torso(self, azimuth: float, y: float, ease: float = 1.0) -> Point:
        """Returns where a point of the torso's surface is in the picture.

        Args:
            azimuth: from the breast bone, radians.
            y: height, body heights.
            ease: widens the torso, as clothes do.
        """
        wide = np.interp(y, self.rows[:, 0], self.rows[:, 1])
        deep = np.interp(y, self.rows[:, 0], self.rows[:, 2])
        reach = math.hypot(wide * self.cos, deep * self.sin) * ease
        x, v = self.at(0, 0, y)
        return x + reach * math.sin(azimuth + self.pose.heading) * self.scale, v

    def visible(self, left: float, right: float) -> tuple[float, float] | None:
        """Returns the part of an azimuth range (left < right) that faces the camera, or None."""
        middle = (left + right) / 2 + self.pose.heading
        shift = middle - math.remainder(middle, 2 * math.pi)
        left, right = left + self.pose.heading - shift, right + self.pose.heading - shift
        left, right = max(left, -math.pi / 2), min(right, math.pi / 2)
        return (left - self.pose.heading, right - self.pose.heading) if right > left else None

    # Strokes.

    def patch(
        self,
        left: float,
        right: float,
        low: float,
        high: float,
        colour: Colour,
        ease: float = 1.0,
    ) -> None:
        """Fills the torso's surface between two azimuths and two heights, where it is seen."""
        seen = self.visible(left, right)
        if seen is None or high <= low:
            return
        heights = np.linspace(low, high, 2 + int((high - low) * 22))
        edge = [self.on_torso(seen[0], y, ease) for y in heights]
        edge += [self.on_torso(seen[1], y, ease) for y in heights[::-1]]
        self.pen.polygon(edge, fill=colour)

    def garment(self, low: float, high: float, colour: Colour, ease: float = 1.0) -> None:
        """Draws a shaded tube of cloth round the torso, between two heights."""
        around = -self.pose.heading
        side = math.pi / 2
        self.patch(around - side, around + side, low, high, tone(colour, 0.72), ease)
        lit = (-0.55, 1.6) if self.sun > 0 else (-1.6, 0.55)
        self.patch(around + lit[0], around + lit[1], low, high, colour, ease)
        lit = (0.15, 1.0) if self.sun > 0 else (-1.0, -0.15)
        self.patch(around + lit[0], around + lit[1], low, high, tone(colour, 1.12), ease)

    def limb(self, a: Point, b: Point, wide_a: float, wide_b: float, colour: Colour) -> None:
        """Draws a tapered, rounded and shaded limb between two points.

        Args:
            a: one end.
            b: the other end.
            wide_a: width at `a`, body heights.
            wide_b: width at `b`, body heights.
            colour: in full light.
        """
        (ax, ay), (bx, by) = a, b
        along = math.hypot(bx - ax, by - ay) or 1.0
        nx, ny = (by - ay) / along, -(bx - ax) / along
        if nx * self.sun < 0:
            nx, ny = -nx, -ny
        ra, rb = wide_a * self.scale / 2, wide_b * self.scale / 2
        for factor, inner, outer in ((0.72, -1, 1), (1.0, -0.5, 1), (1.1, 0.1, 0.7)):
            shade, middle, half = tone(colour, factor), (inner + outer) / 2, (outer - inner) / 2
            for x, y, r in ((ax, ay, ra), (bx, by, rb)):
                x, y, r = x + nx * r * middle, y + ny * r * middle, r * half
                self.pen.ellipse((x - r, y - r, x + r, y + r), fill=shade)
            self.pen.polygon(
                [
                    (ax + nx * ra * inner, ay + ny * ra * inner),
                    (ax + nx * ra * outer, ay + ny * ra * outer),
                    (bx + nx * rb * outer, by + ny * rb * outer),
                    (bx + nx * rb * inner, by + ny * rb * inner),
                ],
                fill=shade,
            )

    def blob(self, centre: Point, rx: float, ry: float, colour: Colour) -> None:
        """Draws an ellipse; radii in body heights."""
        x, y = centre
        rx, ry = rx * self.scale, ry * self.scale
        self.pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)
