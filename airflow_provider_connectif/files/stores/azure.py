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

from airflow_provider_connectif.files.background import MIB
from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.files.object_names import is_reserved_name
from airflow_provider_connectif.files.stores.base import Store, StoredObject, without_quotes
from airflow_provider_connectif.files.stores.content_types import content_type
from airflow_provider_connectif.files.stores.errors import VersionConflict
from airflow_provider_connectif.files.stores.event_loop import run_in_loop
from airflow_provider_connectif.files.stores.parts import MIN_PART_SIZE, Parts
from airflow_provider_connectif.files.stores.staged import Staged, require_size

#: 50,000 blocks are allowed (https://learn.microsoft.com/rest/api/storageservices/put-block): enough for 390 GB.
BLOCK_SIZE = MIN_PART_SIZE

#: For the blocks beyond the first 40,000.
LARGE_BLOCK_SIZE = 64 * MIB

CHECKSUM_FIELD = "connectif_sha256"


class AzureStaged(Staged):
    """A list of uncommitted blocks."""

    def __init__(self, store: AzureStore, name: str, expected_bytes: int | None) -> None:
        super().__init__(name, store.budget, expected_bytes)
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
        self._blocks = self._parts.finish()
        stored = self._store.run(self._uncommitted_blocks)
        # A block may be missing because a concurrent writer has committed the same content: _commit finds out.
        if stored.keys() >= set(self._blocks):
            require_size(self.name, sum(stored[block] for block in self._blocks), self.bytes)

    async def _uncommitted_blocks(self) -> dict[str, int]:
        """Return the sizes of the blocks that the service has, by their ids."""
        async with self._store.blob(self.name) as blob:
            _, uncommitted = await blob.get_block_list("uncommitted")
            return {block.id: block.size for block in uncommitted}

    def _publish_small(self, data: bytes) -> str | None:
        version: str = self._store.run(self._store.upload_blob, self.name, data, metadata={CHECKSUM_FIELD: self.sha256})
        return without_quotes(version)

    def _publish(self) -> str | None:
        etag: str | None = self._store.run(self._commit)
        return etag

    async def _commit(self) -> str | None:
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock

        async with self._store.blob(self.name) as blob:
            try:
                response = await blob.commit_block_list(
                    [BlobBlock(block) for block in self._blocks],
                    content_settings=_content_settings(self.name),
                    metadata={CHECKSUM_FIELD: self.sha256},
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

    def run(self, coroutine: Any, *args: Any, **kwargs: Any) -> Any:
        """Run ``coroutine(*args, **kwargs)`` in the filesystem's event loop, to which its clients belong."""
        return run_in_loop(self.fs.loop, coroutine, *args, **kwargs)

    def _stage(self, name: str, expected_bytes: int | None) -> AzureStaged:
        return AzureStaged(self, name, expected_bytes)

    def _conditional_writes(self) -> bool:
        return True

    def _put(self, name: str, data: bytes, if_absent: bool, if_version: str | None) -> str:
        version: str = self.run(self.upload_blob, name, data, overwrite=not if_absent, **_if_match(if_version))
        self.fs.invalidate_cache()
        return version

    async def upload_blob(self, name: str, data: bytes, *, overwrite: bool = True, **options: Any) -> str:
        """Write a blob in one request, and return its ETag."""
        async with self.blob(name) as blob:
            with _version_conflicts(name):
                response = await blob.upload_blob(
                    data, length=len(data), overwrite=overwrite, content_settings=_content_settings(name), **options
                )
            return str(response["etag"])

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

    def _check(self, name: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = self.run(self._list_blobs, name)
        except ResourceNotFoundError:
            raise FileNotFoundError(f"the container {self.container} does not exist") from None
        return any(each.name == name for each in found)

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
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        # Snapshots of the provider's own small objects are of no use to anyone; other ones may be someone's backup.
        snapshots = {"delete_snapshots": "include"} if name.startswith(".") and is_reserved_name(name) else {}
        async with self.blob(name) as blob:
            try:
                with _version_conflicts(name):
                    await blob.delete_blob(**snapshots, **_if_match(version))
            except ResourceNotFoundError as error:
                if version is not None:
                    raise VersionConflict(f"{name} does not exist") from error
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "SnapshotsPresent":
                    raise
                raise DestinationError(
                    f"The old object {name} has snapshots, and can only be deleted together with them. If they are "
                    "not needed, delete them; otherwise copy them elsewhere first. Then run the task again."
                ) from error

    def _delete_abandoned_uploads(self, names: set[str]) -> None:
        """Leave them to the service, which deletes them after a week."""


def _if_match(version: str | None) -> dict[str, Any]:
    """Return the arguments for a request that requires this version, if any."""
    from azure.core import MatchConditions

    return {} if version is None else {"etag": version, "match_condition": MatchConditions.IfNotModified}


def _content_settings(name: str) -> Any:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_type=content_type(name))


@contextlib.contextmanager
def _version_conflicts(name: str) -> Iterator[None]:
    """Raise ``VersionConflict`` instead of the errors for a condition that is not met."""
    from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

    try:
        yield
    except (ResourceExistsError, ResourceModifiedError) as error:
        if getattr(error, "error_code", None) == "SnapshotsPresent":
            raise
        raise VersionConflict(f"{name} has another version") from error


def _stored_object(name: str, properties: Any) -> StoredObject:
    return StoredObject(name, properties.size, without_quotes(properties.etag), properties.last_modified.timestamp())
