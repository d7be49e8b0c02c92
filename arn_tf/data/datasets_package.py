"""Whether `import datasets` finds the package of this product, and not another of that name."""

import importlib.util
import os
import sys

from arn_tf.errors import UserError

# A file that no other package of that name has.
_OWN = "archive_builder.py"


def check() -> None:
    """Looks for the package `datasets`, without importing it.

    Raises:
        UserError: there is none, or another one, such as Hugging Face's, comes first on the path.
    """
    loaded = sys.modules.get("datasets")
    spec = loaded.__spec__ if loaded else importlib.util.find_spec("datasets")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if any(os.path.isfile(os.path.join(folder, _OWN)) for folder in folders):
        return
    way_out = (
        "Run the command in the checkout of arn_tf, where datasets/ stands beside arn_tf/, or "
        "install it with `pip install -e .`"
    )
    if spec is None:
        raise UserError(f"arn_tf's package `datasets` is not on the path. {way_out}")
    raise UserError(
        f"{spec.origin or folders[0]}: another package is named `datasets` too, and is found "
        f"before that of arn_tf. {way_out} in an environment without the other"
    )
