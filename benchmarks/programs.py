"""The programs that `python -m benchmarks` runs, and on what."""

import dataclasses
import importlib.util
from collections.abc import Collection, Mapping

from benchmarks import inputs


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that measures.

    Attributes:
        module: as `python -m` takes it.
        flags: of its command line; --json is added.
        reads_inputs: whether they name files of `benchmarks.inputs`.
        package: that it can't do without.
        without: what it was to be compared with, and isn't; and what to do about it.
    """

    module: str
    flags: tuple[str, ...] = ()
    reads_inputs: bool = False
    package: str = ""
    without: str = ""

    def lacking(self) -> str:
        """Returns why it can't run here, or ""."""
        if self.package and not importlib.util.find_spec(self.package):
            return f"{self.package} isn't installed"
        return ""


_PICTURES = f"--pictures={inputs.PICTURES}"
_SERVED = (f"--model_dir={inputs.SAVED_MODEL}", _PICTURES)
# {name of the report: program}, the quick ones first. Together about half an hour on two cores.
PROGRAMS: Mapping[str, Program] = {
    "client": Program("benchmarks.client"),
    "inspect": Program("benchmarks.inspect"),
    "first_step": Program("benchmarks.first_step", ("--pictures=2000",)),
    "camera_batches": Program("benchmarks.camera_batches", ("MobileNetV2", "ResNet50")),
    "strong_steps": Program("benchmarks.strong_steps"),
    "steps": Program("benchmarks.steps"),
    "beside_torch": Program(
        "benchmarks.beside_torch",
        without="PyTorch: name a Python that has it, --torch (make bench TORCH=)",
    ),
    "embedding_job": Program(
        "benchmarks.embedding_job", (f"--model={inputs.SAVED_MODEL}", _PICTURES), True
    ),
    "runtimes": Program(
        "benchmarks.runtimes",
        (_PICTURES, "--exports", f"{inputs.SAVED_MODEL}/1", f"{inputs.OPENVINO}/1"),
        True,
        "openvino",
    ),
    "serving": Program("benchmarks.serving", _SERVED, True),
    "soak": Program("benchmarks.soak", (*_SERVED, "--minutes=2", "--requests=1200"), True),
    "ranking": Program("benchmarks.ranking"),
    "reranking": Program("benchmarks.reranking"),
    "gallery_ranking": Program(
        "benchmarks.gallery_size",
        ("--pictures=10000,100000,1000000", "--queries=1000", "--method=ranking"),
    ),
    "gallery_graph": Program(
        "benchmarks.gallery_size",
        ("--pictures=10000,30000,100000", "--method=graph"),
    ),
    "gallery_stores": Program("benchmarks.gallery_stores", package="pymilvus"),
    "ray_job": Program("benchmarks.ray_job", (f"--model={inputs.SAVED_MODEL}",), True, "ray"),
    "official_run": Program("benchmarks.official_run"),
}


def chosen(names: Collection[str], torch: str | None) -> dict[str, Program]:
    """Returns programs in their order.

    Args:
        names: of them.
        torch: a Python that has torch, or nothing.
    """
    found = {name: program for name, program in PROGRAMS.items() if name in names}
    if torch and "beside_torch" in found:
        beside = found["beside_torch"]
        found["beside_torch"] = dataclasses.replace(beside, flags=(f"--torch={torch}",), without="")
    return found
