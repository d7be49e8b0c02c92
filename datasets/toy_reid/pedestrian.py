"""Draws one walking pedestrian on a transparent layer."""

from PIL import Image

from datasets.toy_reid import bags, clothes, head, limbs
from datasets.toy_reid.figure import Figure, Point, Pose
from datasets.toy_reid.wardrobe import Person


def draw(
    size: tuple[int, int], person: Person, pose: Pose, foot: Point, height: float, sun: float
) -> Image.Image:
    """Draws a pedestrian, from the far side of the body to the near side.

    Args:
        size: width and height of the layer, pixels.
        person: whom to draw.
        pose: how the person walks.
        foot: position between the feet.
        height: of the average person, pixels.
        sun: side the light comes from: 1 right, -1 left.

    Returns:
        RGBA layer, transparent round the person.
    """
    layer = Image.new("RGBA", size)
    figure = Figure(layer, person, pose, foot, height * person.height, sun)
    p = person
    near = 1 if figure.nearness(1, 0) >= 0 else -1
    if p.bag == "backpack" and figure.cos > 0.2:
        bags.backpack(figure)
    if p.bag == "shoulder" and near < 0:
        bags.shoulder_bag(figure)
    limbs.arm(figure, -near)
    if p.hair_style == "long" and figure.cos >= 0.5:
        head.long_hair(figure)
    limbs.leg(figure, -near)
    limbs.leg(figure, near)
    clothes.lower(figure)
    clothes.upper(figure)
    if p.bag == "backpack":
        bags.straps(figure)
    head.head(figure)
    limbs.arm(figure, near)
    if p.bag == "backpack" and figure.cos <= 0.2:
        bags.backpack(figure)
    if p.bag == "shoulder" and near > 0:
        bags.shoulder_bag(figure)
    return layer
