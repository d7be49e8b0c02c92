"""TLS of the server, with the configuration file of tensorflow_model_server."""

import shlex
import subprocess

import numpy as np
import pytest

from serving.client import EmbeddingClient
from serving.client.tls import Tls
from serving.deploy import tls_config
from serving.errors import BadInputError, TlsError
from tests.support import small_server

PICTURES = small_server.PICTURES


def openssl(line):
    subprocess.run(["openssl", *shlex.split(line)], check=True, capture_output=True)


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost; the file is its own authority."""
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {tmp_path}/server.key "
        f"-out {tmp_path}/server.crt"
    )
    return tmp_path / "server.crt"


def test_tls(certificate, tmp_path):
    config = tls_config.build(str(tmp_path / "server.key"), str(certificate))
    tls_config.write(config, str(tmp_path / "ssl.config"))
    with small_server.serving(ssl_config_file=str(tmp_path / "ssl.config")) as server:
        address = f"localhost:{server.port}"
        with EmbeddingClient(address, tls=Tls(str(certificate))) as client:
            found = client.embed_encoded(PICTURES[:3]).vectors
            np.testing.assert_allclose(
                found, small_server.expected(PICTURES[:3]), rtol=0, atol=1e-5
            )
        with pytest.raises(TlsError, match=r"`tls\.ca`"), EmbeddingClient(address) as client:
            client.embed_encoded(PICTURES[:1])


def test_unusable_tls_files(certificate, tmp_path):
    other = tls_config.build(str(tmp_path / "server.key"), str(certificate))
    openssl(f"genrsa -out {tmp_path}/other.key 2048")
    other.server_key = (tmp_path / "other.key").read_text()
    tls_config.write(other, str(tmp_path / "other.config"))
    with (
        pytest.raises(BadInputError, match="don't go together"),
        small_server.serving(ssl_config_file=str(tmp_path / "other.config")),
    ):
        pass
    flag = "--ssl_config_file="
    assert "nowhere" in small_server.fails(f"{flag}{tmp_path}/nowhere")
    (tmp_path / "ssl.config").write_text("server_key: '/etc/key.pem' server_cert: 'x'")
    assert "ssl.config" in small_server.fails(f"{flag}{tmp_path}/ssl.config")
