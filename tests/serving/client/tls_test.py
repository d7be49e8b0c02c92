"""TLS and mTLS that work, and what is reported where they don't."""

import subprocess

import grpc
import pytest

from serving.client import EmbeddingClient, Tls
from serving.errors import BadInputError, TlsError, UnavailableError
from tests.support.scripted_server import ScriptedServer, picture

pytest_plugins = ["tests.support.clients"]  # connect


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Files by name: an authority, what it signed, and one that signed nothing."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "stranger"):
        openssl(
            *new, "-x509", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    (folder / "other").write_text("subjectAltName=DNS:elsewhere")
    for name, names in (("server", "names"), ("client", "names"), ("elsewhere", "other")):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", names)
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")
    openssl("rsa", "-in", "client.key", "-aes128", "-passout", "pass:x", "-out", "locked.key")
    return {path.name: str(path) for path in folder.iterdir()}


def credentials(pem, name="server", ask=False):
    def read(file):
        with open(pem[file], "rb") as opened:
            return opened.read()

    return grpc.ssl_server_credentials(
        [(read(f"{name}.key"), read(f"{name}.pem"))], read("ca.pem") if ask else None, ask
    )


def test_tls(connect, pem):
    with (
        ScriptedServer(credentials=credentials(pem)) as server,
        connect(server.address, tls=Tls(pem["ca.pem"])) as client,
    ):
        assert len(client.embed_encoded([picture("x")]).files) == 1


def test_mutual_tls(connect, pem):
    tls = Tls(pem["ca.pem"], pem["client.pem"], pem["client.key"])
    with (
        ScriptedServer(credentials=credentials(pem, ask=True)) as server,
        connect(server.address, tls=tls) as client,
    ):
        assert len(client.embed_encoded([picture("x")]).files) == 1


@pytest.mark.parametrize(
    ("serve", "ca", "text"),
    [
        ({}, "stranger.pem", "certificate doesn't pass: unable to get local issuer.* `tls.ca`"),
        ({"name": "elsewhere"}, "ca.pem", "doesn't pass: Hostname mismatch.* `server`"),
        ({}, None, "it speaks TLS: give `tls.ca`"),
        ({"ask": True}, None, "it speaks TLS: give `tls.ca`"),
        (None, "ca.pem", "doesn't speak TLS: leave out `tls.ca`"),
        ({"ask": True}, "ca.pem", "client certificate: give `tls.certificate` and `tls.key`"),
    ],
)
def test_what_does_not_fit_is_reported(pem, serve, ca, text):
    own = None if serve is None else credentials(pem, **serve)
    tls = Tls(pem[ca]) if ca else None
    with (
        ScriptedServer(credentials=own) as server,
        EmbeddingClient(server.address, tls=tls) as client,
    ):
        with pytest.raises(TlsError, match=text) as caught:
            client.describe()
        assert str(caught.value).startswith(server.address)


def test_a_certificate_that_the_server_does_not_trust(connect, pem):
    tls = Tls(pem["ca.pem"], pem["stranger.pem"], pem["stranger.key"])
    with (
        ScriptedServer(credentials=credentials(pem, ask=True)) as server,
        connect(server.address, tls=tls) as client,
        pytest.raises(TlsError, match="refuses our certificate"),
    ):
        client.describe()


def test_nobody_there_is_no_matter_of_tls(pem):
    with (
        EmbeddingClient("localhost:1", tls=Tls(pem["ca.pem"])) as client,
        pytest.raises(UnavailableError, match="refused"),
    ):
        client.describe()


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (("none.pem",), "tls.ca=none.pem: No such file"),
        (("ca.key",), r"tls\.ca=.*ca\.key: not a certificate"),
        (("ca.pem", "client.pem"), "go together"),
        (("ca.pem", None, "client.key"), "go together"),
        (("ca.pem", "client.pem", "none.key"), "tls.key=none.key: No such file"),
        (("ca.pem", "client.pem", "server.key"), "tls.certificate=.* go together"),
        (("ca.pem", "client.key", "client.pem"), "tls.certificate=.*not a certificate"),
        (("ca.pem", "client.pem", "locked.key"), "without a password"),
    ],
)
def test_files_are_checked_before_anything_is_sent(pem, files, text):
    tls = Tls(*(pem.get(name, name) for name in files))
    with pytest.raises(BadInputError, match=text), EmbeddingClient("localhost:1", tls=tls):
        pass
