"""The two camera networks: the scene, light and lens of each camera.

`MARKET` is a sunny market square (6 cameras, tight crops), `DUKE` a winter campus (8 cameras, loose
crops): other clothes, grounds, light and lenses, so that what is learned on one does not simply
hold on the other; and no two cameras of a network agree about colours either.
"""

import dataclasses

from datasets.toy_reid.wardrobe import SUMMER, WINTER, Colour, Season


@dataclasses.dataclass(frozen=True)
class Place:
    """The scene in front of a camera.

    Attributes:
        far: key of `street.FAR_SIDES`.
        ground: key of `street.GROUNDS`.
        far_colour: main colour of the far side.
        ground_colour: main colour of the ground.
        horizon: row where the ground ends, share of the height from the top.
        heading: direction of the path people walk along, degrees (0 towards the camera, 90 to the
            right); they walk it both ways.
        sun: side of the light, 1 right or -1 left.
        shadow: darkness of the cast shadow, from 0 to 1.
        cover: what hides a part of some persons: pole, railing, bushes or car.
    """

    far: str
    ground: str
    far_colour: Colour
    ground_colour: Colour
    horizon: float
    heading: float
    sun: int
    shadow: float
    cover: str


@dataclasses.dataclass(frozen=True)
class Lens:
    """The lens, sensor and file of a camera.

    Attributes:
        cast: gains of red, green, blue.
        exposure: gain of all channels.
        gamma: exponent of the tone curve.
        saturation: 0 is grey, 1 leaves colours as they are.
        haze: share of milky grey mixed in.
        sharpness: share of the resolution the lens keeps.
        noise: standard deviation of the sensor noise, of 255.
        quality: of the JPEG file.
    """

    cast: tuple[float, float, float]
    exposure: float
    gamma: float
    saturation: float
    haze: float
    sharpness: float
    noise: float
    quality: int


Camera = tuple[Place, Lens]


@dataclasses.dataclass(frozen=True)
class Network:
    """Cameras that share a season and a person detector.

    Attributes:
        cameras: in the order of their numbers, from 1.
        season: what people wear.
        body: height of the average person, share of the crop.
        jitter: standard deviation of the crop's position and size, share of the height.
    """

    cameras: tuple[Camera, ...]
    season: Season
    body: float
    jitter: float


MARKET = Network(
    cameras=(
        (
            Place("shops", "paving", (196, 120, 60), (176, 162, 142), 0.34, 20, 1, 0.45, "pole"),
            Lens((1.06, 1.00, 0.92), 1.04, 0.98, 1.02, 0.00, 0.94, 3, 88),
        ),
        (
            Place("hedge", "lawn", (58, 98, 48), (104, 138, 70), 0.30, 90, -1, 0.40, "bushes"),
            Lens((0.99, 1.04, 0.94), 0.98, 1.00, 1.00, 0.01, 0.88, 3, 80),
        ),
        (
            Place("brick", "paving", (166, 92, 70), (150, 134, 122), 0.40, 70, -1, 0.20, "railing"),
            Lens((1.08, 0.99, 0.92), 0.90, 1.05, 0.97, 0.00, 0.82, 6, 74),
        ),
        (
            Place("cars", "asphalt", (180, 160, 90), (112, 110, 108), 0.36, 160, 1, 0.50, "car"),
            Lens((1.00, 1.00, 1.01), 1.10, 0.96, 0.91, 0.06, 1.00, 2, 90),
        ),
        (
            Place(
                "concrete", "paving", (168, 164, 150), (198, 190, 170), 0.28, 45, -1, 0.45, "pole"
            ),
            Lens((0.94, 1.01, 1.06), 1.01, 1.00, 0.93, 0.04, 0.76, 4, 70),
        ),
        (
            Place("shops", "crossing", (90, 120, 150), (106, 102, 100), 0.32, 120, 1, 0.35, "car"),
            Lens((1.03, 1.01, 0.90), 0.95, 1.04, 1.04, 0.00, 0.70, 5, 66),
        ),
    ),
    season=SUMMER,
    body=0.88,
    jitter=0.02,
)
DUKE = Network(
    cameras=(
        (
            Place("glass", "paving", (110, 132, 150), (134, 136, 142), 0.30, 0, 1, 0.15, "pole"),
            Lens((0.95, 0.99, 1.08), 0.98, 1.00, 0.90, 0.03, 0.94, 3, 86),
        ),
        (
            Place("brick", "snow", (122, 84, 76), (206, 210, 220), 0.36, 80, -1, 0.20, "railing"),
            Lens((0.95, 0.99, 1.09), 1.04, 0.98, 0.88, 0.06, 0.88, 3, 82),
        ),
        (
            Place("hedge", "snow", (64, 78, 60), (196, 202, 212), 0.30, 140, 1, 0.15, "bushes"),
            Lens((0.99, 1.00, 1.04), 1.08, 0.96, 0.84, 0.10, 0.82, 4, 78),
        ),
        (
            Place("cars", "asphalt", (120, 130, 150), (84, 88, 96), 0.38, 100, -1, 0.10, "car"),
            Lens((0.96, 1.00, 1.05), 0.93, 1.04, 0.91, 0.01, 0.94, 5, 76),
        ),
        (
            Place(
                "concrete", "paving", (120, 124, 132), (112, 116, 122), 0.42, 30, 1, 0.05, "pole"
            ),
            Lens((1.01, 1.03, 0.92), 0.87, 1.07, 0.90, 0.00, 0.76, 7, 70),
        ),
        (
            Place("glass", "crossing", (86, 106, 118), (86, 90, 98), 0.26, 60, -1, 0.20, "car"),
            Lens((0.92, 1.01, 1.05), 0.97, 1.02, 0.93, 0.02, 0.76, 4, 72),
        ),
        (
            Place("brick", "lawn", (140, 118, 100), (108, 112, 74), 0.34, 170, 1, 0.25, "bushes"),
            Lens((1.01, 0.99, 1.03), 0.96, 1.00, 0.86, 0.07, 1.00, 3, 88),
        ),
        (
            Place(
                "concrete", "snow", (150, 152, 160), (188, 194, 206), 0.32, 120, -1, 0.10, "railing"
            ),
            Lens((0.91, 0.99, 1.12), 0.91, 1.05, 0.91, 0.00, 0.70, 6, 64),
        ),
    ),
    season=WINTER,
    body=0.83,
    jitter=0.03,
)
NETWORKS: dict[str, Network] = {"market": MARKET, "duke": DUKE}
