"""Asks a TensorFlow Serving server of ARN for embeddings. Needs no TensorFlow.

    from serving.client import EmbeddingClient

    with EmbeddingClient("localhost:8500") as client:
        query = client.embed_files(["query/0001.jpg"])
        gallery = client.embed_files(["gallery/0001.jpg", "gallery/0002.jpg"])
    cosine = query.vectors @ gallery.vectors.T

From a shell:

    python -m serving.client embed --server=localhost:8500 --output=emb.npz crops/
    python -m serving.client status --server=localhost:8500
"""

from serving.client.arguments import add_server_flags
from serving.client.embedding_client import EmbeddingClient, from_arguments
from serving.client.results import Embeddings, ModelDescription, VersionStatus
from serving.client.tls import Tls

__all__ = [
    "EmbeddingClient",
    "Embeddings",
    "ModelDescription",
    "Tls",
    "VersionStatus",
    "add_server_flags",
    "from_arguments",
]
