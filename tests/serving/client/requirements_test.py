"""A machine with the client alone installs what the product pins."""

from tests.support.places import ROOT


def test_the_clients_requirements_are_those_of_the_product():
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    lines = (ROOT / "serving" / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    assert names == {"faiss-cpu", "filelock", "grpcio", "numpy", "pillow", "protobuf", "tqdm"}
    pinned = {line.split()[0] for line in pins if not line.startswith("#")}
    assert {line for line in lines if not line.startswith("#")} <= pinned
