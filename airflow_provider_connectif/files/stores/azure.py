# SPDX-License-Identifier: Apache-2.0
"""Blobs in Azure Storage, through an ``adlfs`` filesystem.

Blocks are staged, which is invisible, and then a list of them is committed. ``adlfs`` files cannot do this: they have
no ``discard``, and commit when they are closed. So the blocks are staged with the filesystem's client.

The service deletes uncommitted blocks after a week, and with the next commit to the same blob: a second writer of a
blob loses its blocks when the first one commits. Each commit therefore records the content's SHA-256 in the blob's
metadata; a writer that lost its blocks to the same content has nothing left to do.
"""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator
from typing import Any

from fsspec.asyn import sync

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.background import MIB
from airflow_provider_connectif.files.stores.base import Store, StoredObject, without_quotes
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.parts import MIN_PART_SIZE, Parts
from airflow_provider_connectif.files.stores.staged import Staged

#: 50,000 blocks are allowed (https://learn.microsoft.com/rest/api/storageservices/put-block): enough for 390 GB.
BLOCK_SIZE = MIN_PART_SIZE

#: For the blocks beyond the first 40,000.
LARGE_BLOCK_SIZE = 64 * MIB

CHECKSUM_FIELD = "connectif_sha256"


class AzureStaged(Staged):
    """A list of uncommitted blocks."""

    def __init__(self, store: AzureStore, name: str) -> None:
        super().__init__(name)
        self._store = store
        self._blocks: list[str] = []
        self._parts = Parts(
            store.fs.loop,
            self._send,
            size_of=lambda part: BLOCK_SIZE if part < 40_000 else LARGE_BLOCK_SIZE,
        )

    async def _send(self, number: int, body: io.BytesIO, checksum: str) -> str:
        # All block ids of a blob must have the same length, those of a concurrent writer included: adlfs uses these.
        block = uuid.uuid4().hex
        async with self._store.blob(self.name) as blob:
            await blob.stage_block(block, body.getvalue())  # not the stream itself: aiohttp would close it
        return block

    def _write(self, data: bytes) -> None:
        self._parts.write(data)

    def _complete(self) -> None:
        # The service refuses an empty block; an empty list of blocks makes an empty blob.
        if self.bytes:
            self._blocks = self._parts.finish()

    def _publish(self) -> str | None:
        etag: str | None = self._store.run(self._commit)
        return etag

    async def _commit(self) -> str | None:
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock

        async with self._store.blob(self.name) as blob:
            try:
                response = await blob.commit_block_list(
                    [BlobBlock(block) for block in self._blocks], metadata={CHECKSUM_FIELD: self.sha256}
                )
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "InvalidBlockList":
                    raise
                found = await blob.get_blob_properties()
                if found.size != self.bytes or (found.metadata or {}).get(CHECKSUM_FIELD) != self.sha256:
                    raise DestinationError(
                        f"Another writer stored {self.name} with different content at the same time, which "
                        "discarded the blocks of this upload. Run the task again."
                    ) from error
                return without_quotes(found.etag)
            return without_quotes(response.get("etag"))

    def _discard(self) -> None:
        self._parts.cancel()


class AzureStore(Store):
    """A prefix in a container."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.container, prefix, _ = self.fs.split_path(self.root)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def blob(self, name: str) -> Any:
        """Return the client of one blob."""
        return self.fs.service_client.get_blob_client(container=self.container, blob=self._prefix + name)

    def run(self, coroutine: Any, *args: Any) -> Any:
        """Run ``coroutine(*args)`` in the filesystem's event loop, to which its clients belong."""
        return sync(self.fs.loop, coroutine, *args)

    def _stage(self, name: str, expected_bytes: int | None) -> AzureStaged:
        return AzureStaged(self, name)

    def _conditional_writes(self) -> bool:
        return True

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        version: str = self.run(self._upload_blob, name, data, if_absent, if_version)
        self.fs.invalidate_cache()
        return version

    async def _upload_blob(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        async with self.blob(name) as blob:
            with _version_conflicts(name):
                response = await blob.upload_blob(
                    data, length=len(data), overwrite=not if_absent, **_if_match(if_version)
                )
            return str(response["etag"])

    def _read(self, name: str) -> bytes:
        return self._read_versioned(name)[0]

    def _read_versioned(self, name: str) -> tuple[bytes, str]:
        data, version = self.run(self._download_blob, name)
        return data, version

    async def _download_blob(self, name: str) -> tuple[bytes, str]:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                stream = await blob.download_blob()
                data: bytes = await stream.readall()
            except ResourceNotFoundError as error:
                raise FileNotFoundError(name) from error
            return data, stream.properties.etag

    def _info(self, name: str) -> StoredObject:
        found: StoredObject = self.run(self._blob_properties, name)
        return found

    async def _blob_properties(self, name: str) -> StoredObject:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                return _stored_object(name, await blob.get_blob_properties())
            except ResourceNotFoundError as error:
                raise FileNotFoundError(name) from error

    def _find(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = self.run(self._list_blobs, prefix)
        return found

    async def _list_blobs(self, prefix: str) -> list[StoredObject]:
        found = []
        async with self.fs.service_client.get_container_client(self.container) as container:
            async for each in container.list_blobs(name_starts_with=self._prefix + prefix):
                name = each.name[len(self._prefix) :]
                if "/" not in name:
                    found.append(_stored_object(name, each))
        return found

    def _delete(self, name: str) -> None:
        self.run(self._delete_blob, name)
        self.fs.invalidate_cache()

    def _delete_version(self, name: str, version: str) -> None:
        self.run(self._delete_blob, name, version)
        self.fs.invalidate_cache()

    async def _delete_blob(self, name: str, version: str | None = None) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                with _version_conflicts(name):
                    await blob.delete_blob(delete_snapshots="include", **_if_match(version))
            except ResourceNotFoundError as error:
                if version is not None:
                    raise VersionConflict(f"{name} does not exist") from error


def _if_match(version: str | None) -> dict[str, Any]:
    """Return the arguments for a request that requires this version, if any."""
    from azure.core import MatchConditions

    return {} if version is None else {"etag": version, "match_condition": MatchConditions.IfNotModified}


@contextlib.contextmanager
def _version_conflicts(name: str) -> Iterator[None]:
    """Raise ``VersionConflict`` instead of the errors for a condition that is not met."""
    from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

    try:
        yield
    except (ResourceExistsError, ResourceModifiedError) as error:
        raise VersionConflict(f"{name} has another version") from error


def _stored_object(name: str, properties: Any) -> StoredObject:
    return StoredObject(name, properties.size, without_quotes(properties.etag), properties.last_modified.timestamp())
