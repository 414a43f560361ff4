# SPDX-License-Identifier: Apache-2.0
"""Blobs in Azure Storage, through an ``adlfs`` filesystem.

Blocks are staged, which is invisible, and a list of them is committed. ``adlfs`` files cannot do that: they
know no ``discard``, and commit when they are closed. So the blocks are staged with the client that the
filesystem holds.

Uncommitted blocks are deleted by the service after a week, and with the next commit to the same blob: a
second writer of one blob loses its blocks when the first commits. Each commit therefore notes the content's
SHA-256 in the blob's metadata; a writer that lost its blocks to an equal content has nothing left to do.
"""

from __future__ import annotations

import io
import uuid
from typing import Any

from fsspec.asyn import sync

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.stores.base import MIB, Staged, Store, StoredObject
from airflow_provider_connectif.files.stores.parts import SMALLEST_PART, Parts

#: 50,000 blocks are allowed (https://learn.microsoft.com/rest/api/storageservices/put-block): room for 390
#: GB.
BLOCK_SIZE = SMALLEST_PART

#: Beyond the 390 GB of the first blocks.
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
        # All ids of one blob must have one length, also those of a writer beside us: adlfs takes these too.
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
                answer = await blob.commit_block_list(
                    [BlobBlock(block) for block in self._blocks], metadata={CHECKSUM_FIELD: self.sha256}
                )
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "InvalidBlockList":
                    raise
                found = await blob.get_blob_properties()
                if found.size != self.bytes or (found.metadata or {}).get(CHECKSUM_FIELD) != self.sha256:
                    raise DestinationError(
                        f"Another writer stored {self.name} with other content in the same moment; "
                        "that discards the blocks of this upload. Run the task again."
                    ) from error
                return _bare(found.etag)
            return _bare(answer.get("etag"))

    def _discard(self) -> None:
        self._parts.cancel()


class AzureStore(Store):
    """A prefix in a container."""

    exclusive_put = True

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self.container, prefix, _ = fs.split_path(root)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def blob(self, name: str) -> Any:
        """The client of one blob."""
        return self.fs.service_client.get_blob_client(container=self.container, blob=self._prefix + name)

    def run(self, coroutine: Any, *args: Any) -> Any:
        """Run ``coroutine(*args)`` in the filesystem's event loop, where its clients live."""
        return sync(self.fs.loop, coroutine, *args)

    def stage(self, name: str, expected_bytes: int | None = None) -> AzureStaged:
        return AzureStaged(self, name)

    def put(self, name: str, data: bytes, *, exclusive: bool = False) -> None:
        self.run(self._put, name, data, exclusive)
        self.fs.invalidate_cache()

    async def _put(self, name: str, data: bytes, exclusive: bool) -> None:
        from azure.core.exceptions import ResourceExistsError

        async with self.blob(name) as blob:
            try:
                await blob.upload_blob(data, length=len(data), overwrite=not exclusive)
            except ResourceExistsError as error:
                raise FileExistsError(name) from error

    def read(self, name: str) -> bytes:
        data: bytes = self.run(self._read, name)
        return data

    async def _read(self, name: str) -> bytes:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                stream = await blob.download_blob()
                data: bytes = await stream.readall()
            except ResourceNotFoundError as error:
                raise FileNotFoundError(name) from error
            return data

    def info(self, name: str) -> StoredObject:
        found: StoredObject = self.run(self._info, name)
        return found

    async def _info(self, name: str) -> StoredObject:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                found = await blob.get_blob_properties()
            except ResourceNotFoundError as error:
                raise FileNotFoundError(name) from error
            return StoredObject(name, found.size, _bare(found.etag), found.last_modified.timestamp())

    def find(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = self.run(self._find, prefix)
        return found

    async def _find(self, prefix: str) -> list[StoredObject]:
        found = []
        async with self.fs.service_client.get_container_client(self.container) as container:
            async for each in container.list_blobs(name_starts_with=self._prefix + prefix):
                name = each.name[len(self._prefix) :]
                if "/" not in name:
                    found.append(StoredObject(name, each.size, _bare(each.etag), each.last_modified.timestamp()))
        return found

    def delete(self, name: str) -> None:
        self.run(self._delete, name)
        self.fs.invalidate_cache()

    async def _delete(self, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        async with self.blob(name) as blob:
            try:
                await blob.delete_blob(delete_snapshots="include")
            except ResourceNotFoundError:
                return


def _bare(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None
