"""Paints street scenes: a ground in perspective before a far side."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from datasets.toy_reid.network import Place
from datasets.toy_reid.wardrobe import Colour

SIZE = (640, 320)  # Width, height of a whole scene, pixels.


class _Scene:
    """A canvas with a horizon and a vanishing point."""

    def __init__(self, rng: np.random.Generator, horizon: float) -> None:
        self.rng = rng
        self.horizon = int(SIZE[1] * horizon)
        self.image = Image.new("RGB", SIZE)
        self.pen = ImageDraw.Draw(self.image)
        self.vanish = (SIZE[0] * rng.uniform(0.2, 0.8), self.horizon - 60 * rng.uniform(0.6, 1.4))

    def fill(self, top: int, bottom: int, colour: Colour) -> None:
        """Fills the rows between two."""
        self.pen.rectangle((0, top, SIZE[0], bottom), fill=colour)

    def ray(self, x: float, colour: Colour, width: int = 1) -> None:
        """Draws a line on the ground that runs to the vanishing point; `x` on the lower edge."""
        vx, vy = self.vanish
        t = (SIZE[1] - self.horizon) / (SIZE[1] - vy)
        self.pen.line((x, SIZE[1], x + (vx - x) * t, self.horizon), fill=colour, width=width)

    def lane(self, left: float, right: float, colour: Colour) -> None:
        """Draws a strip of the ground that runs to the vanishing point; edges on the lower edge."""
        vx, vy = self.vanish
        t = (SIZE[1] - self.horizon) / (SIZE[1] - vy)
        far = [(x + (vx - x) * t, self.horizon) for x in (right, left)]
        self.pen.polygon([(left, SIZE[1]), (right, SIZE[1]), *far], fill=colour)

    def depths(self, count: int) -> np.ndarray:
        """Returns rows of equally far steps on the ground, pixels, from the near edge on."""
        vy = self.vanish[1]
        return vy + (SIZE[1] - vy) / (1 + 0.22 * np.arange(count))

    def grain(self, top: int, bottom: int, coarse: float, fine: float) -> None:
        """Adds stains and speckles between two rows."""
        if bottom <= top:
            return
        part = np.asarray(self.image.crop((0, top, SIZE[0], bottom)), np.float32)
        high, wide = part.shape[:2]
        blots = self.rng.normal(0, coarse, (high // 24 + 2, wide // 40 + 2)).astype(np.float32)
        blots = np.asarray(Image.fromarray(blots).resize((wide, high), Image.Resampling.BICUBIC))
        specks = self.rng.normal(0, fine, (high, wide)).astype(np.float32)
        part = np.clip(part + (blots + specks)[..., None], 0, 255)
        self.image.paste(Image.fromarray(part.astype(np.uint8)), (0, top))


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(min(255, c * factor)) for c in colour)
    return red, green, blue


# Grounds.


def _paving(s: _Scene, colour: Colour) -> None:
    s.fill(s.horizon, SIZE[1], colour)
    joint = _shade(colour, 0.8)
    for y in s.depths(26):
        if y > s.horizon:
            s.pen.line((0, y, SIZE[0], y), fill=joint)
    for x in range(-1200, 1900, 62):
        s.ray(x, joint)


def _asphalt(s: _Scene, colour: Colour) -> None:
    s.fill(s.horizon, SIZE[1], colour)
    x = s.rng.uniform(50, 250)
    for shift in (0, 300, 620):
        s.lane(x + shift, x + shift + 16, _shade(colour, 1.8))
    s.lane(-700, x - 90, _shade(colour, 1.35))
    s.ray(x - 90, _shade(colour, 1.9), 4)


def _crossing(s: _Scene, colour: Colour) -> None:
    s.fill(s.horizon, SIZE[1], colour)
    for x in range(-900, 1500, 110):
        s.lane(x, x + 52, _shade(colour, 2.1))
    s.fill(s.horizon, s.horizon + 26, _shade(colour, 1.4))


def _lawn(s: _Scene, colour: Colour) -> None:
    s.fill(s.horizon, SIZE[1], colour)
    x = s.rng.uniform(100, 330)
    s.lane(x, x + 210, (176, 164, 146))
    s.ray(x, (120, 112, 98), 3)
    s.ray(x + 210, (120, 112, 98), 3)
    for _ in range(900):
        u, v = s.rng.uniform(0, SIZE[0]), s.rng.uniform(s.horizon, SIZE[1])
        if s.image.getpixel((int(u), int(v))) == colour:
            s.pen.line(
                (u, v, u + s.rng.uniform(-3, 3), v - 6),
                fill=_shade(colour, s.rng.uniform(0.7, 1.35)),
            )


def _snow(s: _Scene, colour: Colour) -> None:
    s.fill(s.horizon, SIZE[1], colour)
    x = s.rng.uniform(60, 300)
    s.lane(x, x + 260, (112, 114, 120))
    for shift in (40, 110, 190):
        s.ray(x + shift, (150, 152, 158), 4)


GROUNDS = {
    "paving": _paving,
    "asphalt": _asphalt,
    "crossing": _crossing,
    "lawn": _lawn,
    "snow": _snow,
}


# Far sides.


def _brick(s: _Scene, colour: Colour) -> None:
    s.fill(0, s.horizon, colour)
    for row, y in enumerate(range(0, s.horizon, 9)):
        s.pen.line((0, y, SIZE[0], y), fill=_shade(colour, 0.78))
        for x in range(-(row % 2) * 12, SIZE[0], 24):
            s.pen.line((x, y, x, y + 9), fill=_shade(colour, 0.78))
    for x in range(int(s.rng.uniform(10, 60)), SIZE[0], 150):
        s.pen.rectangle((x, 6, x + 62, s.horizon - 34), fill=(206, 204, 196))
        s.pen.rectangle((x + 5, 11, x + 57, s.horizon - 39), fill=(70, 84, 98))
        s.pen.line((x + 31, 11, x + 31, s.horizon - 39), fill=(206, 204, 196), width=3)


def _shops(s: _Scene, colour: Colour) -> None:
    s.fill(0, s.horizon, (150, 142, 130))
    signs = ((190, 60, 50), (60, 110, 90), (210, 170, 70), (70, 80, 140), colour)
    x = -int(s.rng.uniform(0, 80))
    while x < SIZE[0]:
        wide = int(s.rng.uniform(90, 170))
        sign = signs[int(s.rng.integers(len(signs)))]
        s.pen.rectangle((x + 3, 26, x + wide - 4, s.horizon), fill=(58, 62, 68))
        for _ in range(9):  # Wares and reflections behind the glass.
            u, v = s.rng.uniform(x + 6, x + wide - 24), s.rng.uniform(34, s.horizon - 24)
            tint = tuple(int(c) for c in s.rng.uniform(60, 210, 3))
            s.pen.rectangle((u, v, u + s.rng.uniform(6, 18), v + s.rng.uniform(8, 22)), fill=tint)
        door = x + int(wide * 0.62)
        s.pen.rectangle(
            (door, 34, door + 30, s.horizon), outline=(200, 200, 196), fill=(92, 104, 112), width=3
        )
        s.pen.polygon([(x, 34), (x + wide, 34), (x + wide - 6, 8), (x + 6, 8)], fill=sign)
        x += wide


def _hedge(s: _Scene, colour: Colour) -> None:
    s.fill(0, s.horizon, _shade(colour, 1.7))
    for _ in range(750):
        x, y = s.rng.uniform(-10, SIZE[0]), s.rng.uniform(10, s.horizon)
        r = s.rng.uniform(4, 13)
        s.pen.ellipse(
            (x - r, y - r, x + r, y + r * 0.8), fill=_shade(colour, s.rng.uniform(0.55, 1.4))
        )
    for x in s.rng.uniform(0, SIZE[0], 5):
        s.pen.polygon(
            [(x, 0), (x + 14, 0), (x + 18, s.horizon + 8), (x - 5, s.horizon + 8)],
            fill=(84, 66, 52),
        )


def _cars(s: _Scene, colour: Colour) -> None:
    s.fill(0, s.horizon, (168, 172, 174))
    for x in range(0, SIZE[0], 46):
        s.pen.rectangle((x + 6, 4, x + 34, s.horizon - 70), fill=(112, 124, 136))
    paints = ((170, 40, 40), (205, 208, 210), (44, 50, 62), (70, 98, 140), colour)
    x = -int(s.rng.uniform(0, 120))
    while x < SIZE[0]:
        paint, floor = paints[int(s.rng.integers(len(paints)))], s.horizon + 16
        roof = [
            (x + 34, floor - 46),
            (x + 58, floor - 74),
            (x + 118, floor - 74),
            (x + 146, floor - 46),
        ]
        s.pen.ellipse((x + 4, floor - 12, x + 176, floor + 6), fill=(52, 52, 56))
        s.pen.polygon(roof, fill=_shade(paint, 0.8))
        s.pen.polygon(
            [(u + (6 if i < 2 else -6), v + 5) for i, (u, v) in enumerate(roof)], fill=(76, 92, 104)
        )
        s.pen.rounded_rectangle((x + 4, floor - 48, x + 174, floor - 10), 12, fill=paint)
        s.pen.line((x + 8, floor - 34, x + 170, floor - 34), fill=_shade(paint, 0.75), width=3)
        for wheel in (x + 34, x + 136):
            s.pen.ellipse((wheel - 15, floor - 26, wheel + 15, floor + 4), fill=(28, 28, 30))
            s.pen.ellipse((wheel - 7, floor - 18, wheel + 7, floor - 4), fill=(150, 152, 154))
        x += int(s.rng.uniform(185, 250))


def _concrete(s: _Scene, colour: Colour) -> None:
    s.fill(0, s.horizon, colour)
    for x in range(int(s.rng.uniform(0, 90)), SIZE[0], 128):
        s.pen.rectangle((x, 0, x + 30, s.horizon + 6), fill=_shade(colour, 1.2))
        s.pen.rectangle((x + 22, 0, x + 30, s.horizon + 6), fill=_shade(colour, 0.7))
        tint = tuple(int(c) for c in s.rng.uniform(50, 220, 3))
        if s.rng.random() < 0.6:
            s.pen.rectangle((x + 48, 20, x + 96, 84), fill=(226, 224, 216))
            s.pen.rectangle((x + 53, 25, x + 91, 60), fill=tint)
    s.fill(s.horizon - 8, s.horizon, _shade(colour, 0.6))


def _glass(s: _Scene, colour: Colour) -> None:
    for y in range(s.horizon):
        s.pen.line((0, y, SIZE[0], y), fill=_shade(colour, 0.6 + 0.6 * y / s.horizon))
    for x in range(int(s.rng.uniform(0, 50)), SIZE[0], 58):
        if s.rng.random() < 0.4:
            s.pen.polygon([(x, 0), (x + 40, 0), (x + 8, s.horizon)], fill=_shade(colour, 1.45))
        s.pen.rectangle((x, 0, x + 5, s.horizon), fill=(52, 56, 60))
    s.pen.rectangle((0, 46, SIZE[0], 52), fill=(52, 56, 60))


FAR_SIDES = {
    "brick": _brick,
    "shops": _shops,
    "hedge": _hedge,
    "cars": _cars,
    "concrete": _concrete,
    "glass": _glass,
}


def paint(rng: np.random.Generator, place: Place) -> Image.Image:
    """Paints the scene in front of a camera, without people.

    Args:
        rng: decides where windows, cars and stains are.
        place: the scene.

    Returns:
        RGB picture of `SIZE`.
    """
    s = _Scene(rng, place.horizon)
    GROUNDS[place.ground](s, place.ground_colour)
    s.fill(s.horizon - 3, s.horizon + 3, _shade(place.ground_colour, 0.62))
    FAR_SIDES[place.far](s, place.far_colour)  # Last: parked cars stand on the ground.
    s.grain(0, s.horizon, 9, 5)
    s.grain(s.horizon, SIZE[1], 12, 7)
    return s.image.filter(ImageFilter.GaussianBlur(0.7))
