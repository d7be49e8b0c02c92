"""`tls_config` writes an ssl.config that works, keeps it secret, and refuses the rest."""

import contextlib
import os
import shlex
import stat
import subprocess
import sys
from concurrent import futures

import grpc
import pytest

from serving.deploy import check_config, config_messages, tls_config
from serving.errors import BadInputError, TlsError
from tests.support import other_system
from tests.support.places import ROOT


def openssl(line):
    subprocess.run(["openssl", *shlex.split(line)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Folder with an authority, a server and a client that it signed, and a stranger."""
    folder = tmp_path_factory.mktemp("pem")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout"
    for name in ("ca", "stranger"):
        files = f"{folder}/{name}.key -out {folder}/{name}.pem"
        openssl(f"req -x509 {new} {files} -days 2 -subj /CN={name}")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        openssl(f"req {new} {folder}/{name}.key -subj /CN={name} -out {folder}/request")
        openssl(
            f"x509 -req -in {folder}/request -CA {folder}/ca.pem -CAkey {folder}/ca.key -days 2 "
            f"-extfile {folder}/names -out {folder}/{name}.pem"
        )
    openssl(f"x509 -in {folder}/server.pem -outform DER -out {folder}/server.der")
    openssl(f"pkey -in {folder}/server.key -aes256 -passout pass:x -out {folder}/encrypted.key")
    return folder


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "serving.deploy.tls_config", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def flags_for(pem, output, **others):
    files = {"key": pem / "server.key", "certificate": pem / "server.pem", "output": output}
    return [f"--{name}={path}" for name, path in (files | others).items()]


@contextlib.contextmanager
def grpc_server(path):
    """A gRPC server with the credentials that TensorFlow Serving would make of the file."""
    config = config_messages.parse(path, "SSLConfig")
    pair = (config.server_key.encode(), config.server_cert.encode())
    credentials = grpc.ssl_server_credentials(
        [pair], config.custom_ca.encode() or None, config.client_verify
    )
    echo = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_registered_method_handlers("test", {"Echo": echo})
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Echo": echo}),))
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)


def ask(address, ca, key=None, certificate=None):
    read = [path and path.read_bytes() for path in (ca, key, certificate)]
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(*read)) as channel:
        return channel.unary_unary("/test/Echo")(b"hello", timeout=10)


def test_a_grpc_server_speaks_tls_with_it(pem, tmp_path):
    output = tmp_path / "ssl.config"
    done = run(*flags_for(pem, output))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["ssl.config"]
    check_config.check_flags([f"--ssl_config_file={output}"])
    with grpc_server(output) as address:
        assert ask(address, pem / "ca.pem") == b"hello"
        with pytest.raises(grpc.RpcError):
            ask(address, pem / "stranger.pem")


def test_client_ca_shuts_out_clients_without_a_certificate_of_it(pem, tmp_path):
    output = tmp_path / "ssl.config"
    done = run(*flags_for(pem, output, client_ca=pem / "ca.pem"))
    assert done.returncode == 0, done.stderr
    with grpc_server(output) as address:
        ca = pem / "ca.pem"
        assert ask(address, ca, pem / "client.key", pem / "client.pem") == b"hello"
        with pytest.raises(grpc.RpcError):
            ask(address, ca)
        with pytest.raises(grpc.RpcError):
            ask(address, ca, pem / "stranger.key", pem / "stranger.pem")


def test_only_the_wanted_blocks_of_a_combined_file_are_taken(pem, tmp_path):
    both = tmp_path / "both.pem"
    texts = [(pem / name).read_text() for name in ("server.pem", "ca.pem", "server.key")]
    both.write_text("Subject: anything\n" + "\n".join(texts))
    config = tls_config.build(both, both)
    assert config.server_cert == texts[0] + texts[1]
    assert config.server_key == texts[2]
    assert not config.client_verify


@pytest.mark.parametrize(
    "flag, name, error, reason",
    [
        ("key", "stranger.key", TlsError, "server.pem: isn't the certificate of the key"),
        ("key", "missing", BadInputError, "No such file"),
        ("key", "server.pem", BadInputError, "BEGIN PRIVATE KEY"),
        ("key", "encrypted.key", BadInputError, "openssl pkey"),
        ("certificate", "server.key", BadInputError, "BEGIN CERTIFICATE"),
        ("certificate", "server.der", BadInputError, "From DER"),
        ("client_ca", "client.pem", BadInputError, "CA:TRUE"),
        ("client_ca", "ca.key", BadInputError, "BEGIN CERTIFICATE"),
    ],
)
def test_wrong_files_are_refused_by_name(pem, flag, name, error, reason):
    files = {"key": pem / "server.key", "certificate": pem / "server.pem", flag: pem / name}
    with pytest.raises(error, match=reason) as caught:
        tls_config.build(**files)
    assert name in str(caught.value) or flag == "key"


@pytest.mark.parametrize("flag", ["certificate", "client_ca"])
def test_what_has_expired_is_refused(pem, tmp_path, flag):
    old, request, extensions = (tmp_path / name for name in ("old.pem", "request", "extensions"))
    extensions.write_text("basicConstraints=CA:TRUE\n")
    openssl(f"req -new -key {pem}/server.key -subj /CN=old -out {request}")
    openssl(
        f"x509 -req -in {request} -signkey {pem}/server.key -days -1 -extfile {extensions} "
        f"-out {old}"
    )
    files = {"key": pem / "server.key", "certificate": pem / "server.pem", flag: old}
    with pytest.raises(TlsError, match=r"old\.pem: .*expired"):
        tls_config.build(**files)


def test_a_broken_certificate_is_refused(pem, tmp_path):
    broken = tmp_path / "broken.pem"
    text = (pem / "server.pem").read_text().splitlines()
    broken.write_text("\n".join([text[0], *text[2:]]))
    with pytest.raises(TlsError, match=r"broken\.pem: can't be used"):
        tls_config.build(pem / "server.key", broken)
    with pytest.raises(BadInputError, match=r"broken\.pem: can't be read"):
        tls_config.build(pem / "server.key", pem / "server.pem", broken)


def test_a_renewal_replaces_the_file_and_nothing_else_is_replaced(pem, tmp_path):
    output = tmp_path / "ssl.config"
    first = run(*flags_for(pem, output))
    output.chmod(0o644)
    (tmp_path / "ssl.config.partial").write_text("of a run that was killed")
    again = run(*flags_for(pem, output, client_ca=pem / "ca.pem"))
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert config_messages.parse(output, "SSLConfig").client_verify
    assert stat.S_IMODE(output.stat().st_mode) == 0o600

    key = tmp_path / "server.key"
    key.write_text((pem / "server.key").read_text())
    empty = tmp_path / "notes.txt"
    empty.touch()
    for there in (key, empty, tmp_path):
        refused = run(*flags_for(pem, there, key=key))
        assert refused.returncode == 2
        assert f"{there}: is there and isn't an ssl.config" in refused.stderr
    assert key.read_text() == (pem / "server.key").read_text()
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "server.key", "ssl.config"]


@pytest.mark.parametrize("system", ["windows", "macos", "no_folder_sync=EINVAL", "no_flock=ENOSYS"])
def test_other_systems_and_disks(pem, tmp_path, system):
    output = tmp_path / "ssl.config"
    for _ in range(2):
        program = [other_system.__file__, system, "serving.deploy.tls_config"]
        line = [sys.executable, *program, *flags_for(pem, output)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "mode 0600" in done.stdout, done.stderr
    assert b"\r" not in output.read_bytes()
    assert config_messages.parse(output, "SSLConfig").server_key
    assert os.listdir(tmp_path) == ["ssl.config"]


def test_a_disk_without_rights_is_not_said_to_keep_the_secret(pem, tmp_path, monkeypatch, capsys):
    output = tmp_path / "ssl.config"
    # As Windows, FAT and SMB mounts do.
    monkeypatch.setattr(
        os, "open", lambda path, flags, mode, open=os.open: open(path, flags, 0o666)
    )
    monkeypatch.setattr(sys, "argv", ["tls_config", *flags_for(pem, output)])
    tls_config._main()
    printed = capsys.readouterr().out
    assert "see that nobody else can read it" in printed and "0600" not in printed


def test_a_folder_that_is_missing_is_named(pem, tmp_path):
    done = run(*flags_for(pem, tmp_path / "none" / "ssl.config"))
    assert done.returncode == 2
    assert "none/ssl.config: can't be written: No such file" in done.stderr
    assert "Traceback" not in done.stderr and "BEGIN" not in done.stderr
