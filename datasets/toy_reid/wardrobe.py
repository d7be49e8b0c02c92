"""The looks of a pedestrian: build, skin, hair, clothes, shoes and bag.

A person is only a handful of choices from short lists, so several persons always share the colour
of a coat or the kind of a bag: an identity is a combination, never one colour.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "black": (34, 34, 38),
    "grey": (128, 129, 132),
    "white": (226, 226, 222),
    "navy": (40, 54, 104),
    "blue": (62, 106, 178),
    "sky": (142, 182, 216),
    "red": (176, 44, 46),
    "wine": (112, 34, 54),
    "orange": (214, 122, 48),
    "yellow": (216, 188, 76),
    "green": (62, 122, 72),
    "olive": (98, 98, 62),
    "khaki": (182, 160, 122),
    "brown": (104, 72, 50),
    "pink": (214, 138, 158),
    "purple": (106, 74, 138),
    "denim": (82, 102, 136),
}
SKINS: tuple[Colour, ...] = ((240, 206, 178), (224, 182, 146), (190, 142, 106), (122, 84, 60))
HAIRS: tuple[Colour, ...] = (
    (28, 24, 24),
    (62, 42, 30),
    (120, 84, 48),
    (198, 164, 104),
    (158, 156, 154),
)


@dataclasses.dataclass(frozen=True)
class Season:
    """What people wear in a camera network: name -> relative frequency.

    Attributes:
        tops: kinds of upper garment: tee, shirt, jacket (worn open), coat (long).
        bottoms: trousers, shorts, skirt, dress.
        top_colours: keys of `COLOURS`.
        bottom_colours: likewise.
        patterns: of the upper garment, see `pedestrian.draw`.
        hats: none, cap, beanie, hood.
        bags: none, backpack, shoulder, handbag, umbrella.
    """

    tops: dict[str, float]
    bottoms: dict[str, float]
    top_colours: dict[str, float]
    bottom_colours: dict[str, float]
    patterns: dict[str, float]
    hats: dict[str, float]
    bags: dict[str, float]


SUMMER = Season(
    tops={"tee": 6, "shirt": 3, "jacket": 1},
    bottoms={"trousers": 4, "shorts": 4, "skirt": 2, "dress": 1.5},
    top_colours={
        "white": 4, "black": 3, "grey": 2, "red": 2, "sky": 2, "pink": 2, "yellow": 1.5,
        "green": 1.5, "blue": 2, "orange": 1, "purple": 1, "khaki": 1,
    },
    bottom_colours={
        "denim": 3, "black": 3, "khaki": 2, "white": 1.5, "navy": 2, "grey": 1, "red": 1,
    },
    patterns={
        "plain": 4, "rows": 2, "columns": 1.5, "checks": 1.5, "dots": 1, "logo": 2, "two-tone": 2.5,
    },
    hats={"none": 8, "cap": 2},
    bags={"none": 4, "backpack": 3, "shoulder": 2.5, "handbag": 2, "umbrella": 0.4},
)  # fmt: skip
WINTER = Season(
    tops={"tee": 0.5, "shirt": 3, "jacket": 4, "coat": 3},
    bottoms={"trousers": 8, "skirt": 1.5, "dress": 0.8, "shorts": 0.5},
    top_colours={
        "black": 3, "navy": 2, "grey": 2, "olive": 2, "brown": 1.5, "wine": 2, "khaki": 2,
        "blue": 2, "red": 2, "green": 2, "white": 1.5, "purple": 1.5, "orange": 1.5, "sky": 1,
    },
    bottom_colours={
        "black": 3, "denim": 3, "navy": 2, "grey": 2, "brown": 1.5, "khaki": 2, "olive": 1,
    },
    patterns={"plain": 4, "rows": 2, "checks": 1.5, "logo": 1.5, "two-tone": 3, "columns": 1},
    hats={"none": 5, "cap": 0.8, "beanie": 2.5, "hood": 1.5},
    bags={"none": 4, "backpack": 4, "shoulder": 2, "handbag": 2, "umbrella": 0.8},
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Person:
    """Everything about a person that no camera changes. Lengths are in body heights.

    Attributes:
        height: relative to the average person.
        girth: width factor of torso and limbs.
        leg: height of the hip above the ground.
        skin: its colour.
        hair: its colour.
        hair_style: bald, short, long or tail.
        hat: see `Season.hats`.
        hat_colour: its colour.
        top: see `Season.tops`.
        top_colour: its colour.
        trim: second colour: pattern, lining, shirt under an open jacket.
        pattern: see `Season.patterns`, or open.
        hem: height of the lower edge of the upper garment.
        bare_arms: whether the sleeves are short.
        bottom: see `Season.bottoms`.
        bottom_colour: its colour.
        shoes: their colour.
        bag: see `Season.bags`.
        bag_colour: its colour.
    """

    height: float
    girth: float
    leg: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    top: str
    top_colour: Colour
    trim: Colour
    pattern: str
    hem: float
    bare_arms: bool
    bottom: str
    bottom_colour: Colour
    shoes: Colour
    bag: str
    bag_colour: Colour


def _pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    share = np.asarray(list(weights.values()), np.float64)
    return list(weights)[int(rng.choice(len(share), p=share / share.sum()))]


def _dye(rng: np.random.Generator, name: str) -> Colour:
    """Returns a colour of the palette, changed a little at random."""
    shade = np.asarray(COLOURS[name]) * rng.uniform(0.9, 1.1) + rng.normal(0, 4, 3)
    red, green, blue = (int(v) for v in np.clip(shade, 12, 240))
    return red, green, blue


def dress(rng: np.random.Generator, season: Season) -> Person:
    """Draws a person at random for a season."""
    top = _pick(rng, season.tops)
    bottom = _pick(rng, season.bottoms)
    top_name = _pick(rng, season.top_colours)
    trim = _pick(rng, {k: v for k, v in season.top_colours.items() if k != top_name})
    feminine = bottom in ("skirt", "dress") or rng.random() < 0.35
    styles = {"long": 4, "tail": 3, "short": 3} if feminine else {"short": 7, "bald": 1, "long": 1}
    leg = rng.uniform(0.47, 0.54)
    hem = {"coat": leg - rng.uniform(0.12, 0.22), "jacket": leg - 0.03}.get(top, leg - 0.01)
    return Person(
        height=rng.normal(0.97 if feminine else 1.03, 0.04),
        girth=float(np.clip(rng.normal(0.95 if feminine else 1.08, 0.13), 0.75, 1.45)),
        leg=leg,
        skin=SKINS[int(rng.choice(4, p=(0.35, 0.35, 0.18, 0.12)))],
        hair=HAIRS[int(rng.choice(5, p=(0.42, 0.26, 0.14, 0.1, 0.08)))],
        hair_style=_pick(rng, styles),
        hat=_pick(rng, season.hats),
        hat_colour=_dye(rng, trim if rng.random() < 0.5 else "black"),
        top=top,
        top_colour=_dye(rng, top_name),
        trim=_dye(rng, trim),
        pattern=_pick(rng, season.patterns) if top != "jacket" else "open",
        hem=hem,
        bare_arms=top == "tee" or (bottom == "dress" and top == "shirt"),
        bottom=bottom,
        bottom_colour=_dye(rng, _pick(rng, season.bottom_colours)),
        shoes=_dye(rng, _pick(rng, {"black": 4, "white": 3, "brown": 2, "red": 0.5, "grey": 1})),
        bag=_pick(rng, season.bags),
        bag_colour=_dye(
            rng, _pick(rng, {"black": 4, "navy": 1, "red": 1.2, "brown": 2, "sky": 1, "olive": 1})
        ),
    )
