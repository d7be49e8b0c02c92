"""Asks a TensorFlow Serving server of ARN for embeddings. Needs no TensorFlow.

    from serving.client import EmbeddingClient

    with EmbeddingClient("localhost:8500") as client:
        query = client.embed_files(["query/0001.jpg"])
        gallery = client.embed_files(["gallery/0001.jpg", "gallery/0002.jpg"])
    cosine = query.vectors @ gallery.vectors.T

`AsyncEmbeddingClient` has the same methods as coroutines. From a shell:

    python -m serving.client embed --server=localhost:8500 --output=emb.npz crops/
    python -m serving.client status --server=localhost:8500
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from serving.client.async_client import AsyncEmbeddingClient
    from serving.client.embedding_client import EmbeddingClient
    from serving.client.flags import add_server_flags, from_arguments
    from serving.client.results import Embeddings, ModelDescription, VersionStatus
    from serving.client.tls import Tls

__all__ = [
    "AsyncEmbeddingClient",
    "EmbeddingClient",
    "Embeddings",
    "ModelDescription",
    "Tls",
    "VersionStatus",
    "add_server_flags",
    "from_arguments",
]

# Imported when first used: `--help` needs neither gRPC nor NumPy, and few need asyncio.
_MODULES = {
    "AsyncEmbeddingClient": "async_client",
    "EmbeddingClient": "embedding_client",
    "Embeddings": "results",
    "ModelDescription": "results",
    "Tls": "tls",
    "VersionStatus": "results",
    "add_server_flags": "flags",
    "from_arguments": "flags",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
