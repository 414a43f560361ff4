# SPDX-License-Identifier: Apache-2.0
"""
Errors of reading and storing an export's file.

::

    FileError
     ├─ RemoteFileError            reading from the vendor's store
     │   ├─ RemoteFileUnavailable     may pass   no progress within the allowed attempts
     │   ├─ RemoteFileRefused         may pass   even a new signed URL was refused
     │   ├─ RemoteFileChanged         may pass   the file was replaced: download it again
     │   └─ RemoteFileDamaged         may pass   the bytes received are not those of the store, or may not be
     ├─ ArchiveError               understanding what was read
     │   ├─ ExportMissing             may pass   the file is empty, or is something else than an export
     │   ├─ ArchiveCorrupt            final      broken structure, wrong CRC or wrong length
     │   ├─ ArchiveEncrypted          final      a member needs a password
     │   ├─ ArchiveUnsupported        final      a compression method or layout that is not supported
     │   ├─ ArchiveTooLarge           final      more bytes or members than allowed, perhaps a ZIP bomb
     │   └─ ArchiveEmpty              may pass   no members at all
     ├─ DestinationError           may pass   the user's store failed or refused a request
     └─ FolderError                the contents of the destination's folder
         ├─ FolderConflict            final      the folder belongs to another export or task
         ├─ FolderBusy                may pass   another task stores its export in the folder
         ├─ FolderTaken               may pass   another process has taken over the folder
         └─ ManifestUnreadable        final      the manifest cannot be understood

No message contains the signed URL of a file: it grants access to personal data.
"""

from __future__ import annotations


class FileError(Exception):
    """Base class of all errors of an export's file."""

    #: True if a retry cannot help, False if the problem may pass.
    final: bool = False


class RemoteFileError(FileError):
    """The file could not be read from the vendor's store."""


class RemoteFileUnavailable(RemoteFileError):
    """The store sent no more bytes within the allowed number of attempts."""


class RemoteFileRefused(RemoteFileError):
    """The store refused access to the file, even with a new signed URL."""


class RemoteFileChanged(RemoteFileError):
    """The file was replaced while it was read: the download has to start again."""


class RemoteFileDamaged(RemoteFileError):
    """The bytes received differ from what the store reports, or are damaged and perhaps incomplete."""


class ArchiveError(FileError):
    """The export's file was read, but its content is not usable."""

    final = True


class ExportMissing(ArchiveError):
    """The file is empty, contains no members, or is something else than an export."""

    final = False


class ArchiveCorrupt(ArchiveError):
    """The archive's structure is broken, or a member has the wrong length or CRC."""


class ArchiveEncrypted(ArchiveError):
    """A member of the archive is encrypted."""


class ArchiveUnsupported(ArchiveError):
    """The file uses a compression method or a layout that this provider does not support."""


class ArchiveTooLarge(ArchiveError):
    """The archive contains more bytes or more members than allowed."""


class ArchiveEmpty(ArchiveError):
    """The archive contains no files; it would replace data with nothing."""

    final = False


class DestinationError(FileError):
    """The user's store failed or refused a request."""


class FolderError(FileError):
    """The contents of the destination's folder do not allow storing there."""

    final = True


class FolderConflict(FolderError):
    """The folder belongs to another export, or to another task of the same run."""


class FolderBusy(FolderError):
    """Another task stores its export in the folder, and did not finish within the time that was waited for it."""

    final = False


class FolderTaken(FolderError):
    """Another process has taken over the folder, because this one seemed to be dead."""

    final = False


class ManifestUnreadable(FolderError):
    """The folder has a manifest that this version cannot understand."""
