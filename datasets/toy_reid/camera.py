"""Makes a picture: a person in a scene, through a lens and a sensor, as JPEG bytes."""

import functools
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from datasets.toy_reid import pedestrian, street
from datasets.toy_reid.figure import Point, Pose
from datasets.toy_reid.network import NETWORKS, Lens, Place
from datasets.toy_reid.wardrobe import Person, dress

SIZE = (64, 128)  # Width, height of a picture, pixels.
_DRAWN = (128, 256)  # Everything is drawn twice as large and shrunk once: smooth edges.

# First number of a seed: what the random numbers are for.
_PERSON, _SCENE, _SHOT = 1, 2, 3


def _rng(config: str, *key: int) -> np.random.Generator:
    return np.random.default_rng([list(NETWORKS).index(config), *key])


@functools.lru_cache(maxsize=512)
def person(config: str, number: int) -> Person:
    """Returns the person with a number (from 1) in a camera network."""
    return dress(_rng(config, _PERSON, number), NETWORKS[config].season)


@functools.lru_cache(maxsize=32)
def _scene(config: str, camera: int) -> Image.Image:
    place, _ = NETWORKS[config].cameras[camera - 1]
    return street.paint(_rng(config, _SCENE, camera), place)


def take(config: str, number: int, camera: int, shot: int, crop: str = "good") -> bytes:
    """Makes one picture; the same arguments always give the same bytes.

    Args:
        config: "market" or "duke".
        number: of the person, from 1.
        camera: from 1.
        shot: from 0, the number of a picture of this person by this camera.
        crop: "good"; "bad" cuts or shrinks the person; "empty" leaves the person out.

    Returns:
        JPEG bytes of `SIZE`.
    """
    network = NETWORKS[config]
    place, lens = network.cameras[camera - 1]
    rng = _rng(config, _SHOT, number, camera, shot)
    frame = _background(rng, _scene(config, camera))
    height = _DRAWN[1] * network.body * (1 + rng.normal(0, network.jitter))
    foot = (
        _DRAWN[0] * (0.5 + rng.normal(0, 1.3 * network.jitter)),
        _DRAWN[1] * (0.5 + network.body / 2 + rng.normal(0, network.jitter)),
    )
    if crop == "bad":
        zoom = rng.choice((0.55, 1.6))
        height *= zoom
        foot = (_DRAWN[0] * rng.choice((0.1, 0.5, 0.9)), foot[1] * rng.uniform(0.8, 1.3))
    if rng.random() < (0.8 if crop == "empty" else 0.15):  # Somebody else passes by.
        other = dress(rng, network.season)
        side = rng.choice((-1, 1))
        beside = (
            foot[0] + side * rng.uniform(0.36, 0.52) * _DRAWN[0],
            foot[1] - rng.uniform(4, 30),
        )
        _walk(frame, rng, place, other, beside, height * rng.uniform(0.82, 0.95))
    if crop != "empty":
        _walk(frame, rng, place, person(config, number), foot, height)
    if rng.random() < 0.12:
        _cover(frame, rng, place.cover)
    return _develop(frame.reduce(2), rng, lens)


def _background(rng: np.random.Generator, scene: Image.Image) -> Image.Image:
    """Returns a crop of the scene at the place where the person walks."""
    zoom = rng.uniform(0.85, 1.2)
    wide, high = _DRAWN[0] * zoom, _DRAWN[1] * zoom
    left = rng.uniform(0, scene.width - wide)
    top = rng.uniform(0, scene.height - high)
    return scene.resize(_DRAWN, Image.Resampling.BILINEAR, (left, top, left + wide, top + high))


def _walk(
    frame: Image.Image,
    rng: np.random.Generator,
    place: Place,
    who: Person,
    foot: Point,
    height: float,
) -> None:
    """Puts a walking person and the shadow into the frame."""
    back = 180 if rng.random() < 0.5 else 0
    pose = Pose(
        heading=np.radians(place.heading + back + rng.normal(0, 16)),
        phase=rng.uniform(0, 2 * np.pi),
        stride=rng.uniform(0.12, 0.46),
        lean=rng.normal(0.012, 0.012),
    )
    layer = pedestrian.draw(_DRAWN, who, pose, foot, height, place.sun)
    alpha = layer.getchannel("A")
    # The cast shadow is the silhouette laid on the ground, away from the sun.
    flat, skew = 0.22, -0.55 * place.sun
    lay = (1, skew / flat, -skew * foot[1] / flat, 0, 1 / flat, foot[1] - foot[1] / flat)
    cast = alpha.transform(_DRAWN, Image.Transform.AFFINE, lay)
    touch = Image.new("L", _DRAWN)
    (x, y), r = foot, 0.13 * height
    ImageDraw.Draw(touch).ellipse((x - r, y - r * 0.28, x + r, y + r * 0.28), fill=150)
    for mask, dark, blur in ((cast, place.shadow, 2.0), (touch, 0.75, 4.0)):
        mask = mask.filter(ImageFilter.GaussianBlur(blur)).point(lambda v, d=dark: int(v * d))
        frame.paste((28, 28, 36), (0, 0), mask)
    # Folds: a soft random relief over the clothes.
    relief = Image.fromarray(rng.uniform(84, 172, (26, 9)).astype(np.uint8))
    relief = relief.resize(_DRAWN, Image.Resampling.BICUBIC)
    light = np.asarray(relief, np.float32)[..., None] / 128
    cloth = np.clip(np.asarray(layer.convert("RGB"), np.float32) * (0.6 + 0.4 * light), 0, 255)
    frame.paste(Image.fromarray(cloth.astype(np.uint8)), (0, 0), alpha)


def _cover(frame: Image.Image, rng: np.random.Generator, kind: str) -> None:
    """Draws something that stands between the camera and the person."""
    pen = ImageDraw.Draw(frame)
    wide, high = _DRAWN
    if kind == "pole":
        x = rng.uniform(0.15, 0.85) * wide
        pen.rectangle((x, 0, x + 11, high), fill=(92, 94, 92))
        pen.rectangle((x + 2, 0, x + 5, high), fill=(134, 136, 134))
    elif kind == "railing":
        y = rng.uniform(0.62, 0.8) * high
        for x in range(int(rng.uniform(0, 20)), wide, 22):
            pen.rectangle((x, y, x + 4, high), fill=(58, 62, 66))
        pen.rectangle((0, y, wide, y + 6), fill=(78, 82, 86))
    elif kind == "bushes":
        level = rng.uniform(0.72, 0.86) * high
        for _ in range(46):
            x, y, r = rng.uniform(0, wide), rng.uniform(level, high), rng.uniform(5, 13)
            green = rng.uniform(0.6, 1.3)
            pen.ellipse(
                (x - r, y - r, x + r, y + r), fill=tuple(int(c * green) for c in (62, 92, 50))
            )
    else:
        y, side = rng.uniform(0.7, 0.82) * high, rng.choice((-1, 1))
        paint = tuple(int(c) for c in rng.uniform(30, 200) * np.array((1.0, 0.96, 0.94)))
        left = -0.5 * wide if side < 0 else 0.35 * wide
        pen.rounded_rectangle((left, y, left + 1.15 * wide, high + 30), 16, fill=paint)
        pen.line((left + 8, y + 8, left + 1.1 * wide, y + 8), fill=(228, 228, 228), width=2)


def _develop(frame: Image.Image, rng: np.random.Generator, lens: Lens) -> bytes:
    """Returns a frame, changed by lens, sensor and colour processing, as JPEG bytes."""
    keep = lens.sharpness * rng.uniform(0.85, 1.0)
    small = (max(8, round(SIZE[0] * keep)), max(16, round(SIZE[1] * keep)))
    frame = frame.resize(small, Image.Resampling.BOX).resize(SIZE, Image.Resampling.BICUBIC)
    x = np.asarray(frame, np.float32) / 255
    slope = rng.normal(0, 0.08)  # Light falls off across the picture.
    x = x * (1 + slope * np.linspace(-1, 1, SIZE[0], dtype=np.float32))[:, None]
    x = x * lens.exposure * rng.uniform(0.9, 1.12)
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * lens.saturation * rng.uniform(0.92, 1.08)
    x = x * (np.asarray(lens.cast) * (1 + rng.normal(0, 0.02, 3))).astype(np.float32)
    x = np.clip(x, 0, 1) ** lens.gamma
    x = x * (1 - lens.haze) + 0.75 * lens.haze
    x = x * 255 + rng.normal(0, lens.noise, x.shape)
    picture = Image.fromarray(np.clip(x, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=lens.quality)
    return file.getvalue()
