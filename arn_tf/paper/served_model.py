"""What is served of an ARN: E_I and E_C."""

import tensorflow as tf

from arn_tf.paper.model import ARN
from arn_tf.served.graph import ServedModel, at_precision, embedding_space


def served_model(model: ARN, precision: str | None = None) -> ServedModel:
    """Returns what the export of an ARN saves.

    Args:
        model: made with or without a distribution strategy.
        precision: "float32", the default, or "bfloat16" for the arithmetic of E_I; its weights stay
            float32.
    """
    precision = precision or "float32"
    encoder_i = at_precision(model.encoder_i, precision)

    def embed(images: tf.Tensor, rows: None) -> tf.Tensor:
        maps = encoder_i(model._preprocess(tf.cast(images, tf.float32)), training=False)
        return model.embed_maps(tf.cast(maps, tf.float32))

    config = model.get_config()
    facts = {key: config[key] for key in ("backbone", "input_size", "shared_encoder")}
    return ServedModel(
        embed=embed,
        reference=lambda images, camera_id: model.embed(images),
        embedding_space=embedding_space(
            facts | {"precision": precision},
            [*model.encoder_i.get_weights(), *model.encoder_c.get_weights()],
            model.feature_scale.numpy().tobytes(),
        ),
        embedding_dim=model.embedding_dim,
        input_size=model.input_size,
        backbone=config["backbone"],
        precision=precision,
        exact=precision == "float32",
    )
