# SPDX-License-Identifier: Apache-2.0
"""
What can go wrong with an export's file.

::

    FileError
     ├─ RemoteFileError            reading from the vendor's store
     │   ├─ RemoteFileUnavailable     may pass   no progress within the allowed attempts
     │   ├─ RemoteFileRefused         may pass   even a fresh address was refused
     │   ├─ RemoteFileChanged         may pass   another file is there now: start anew
     │   └─ RemoteFileDamaged         may pass   what arrived is not what the store says it holds
     ├─ ArchiveError               understanding what was read
     │   ├─ ArchiveCorrupt            final      broken structure, wrong CRC or wrong length
     │   ├─ ArchiveEncrypted          final      a member needs a password
     │   ├─ ArchiveUnsupported        final      a method or layout that is not read here
     │   └─ ArchiveTooLarge           final      more bytes or members than allowed: a bomb, perhaps

No message carries the address of a file: whoever holds it can read personal data.
"""

from __future__ import annotations


class FileError(Exception):
    """Something went wrong with an export's file."""

    #: True when trying again cannot help, False when the trouble may pass.
    final: bool = False


class RemoteFileError(FileError):
    """The file could not be read from the vendor's store."""


class RemoteFileUnavailable(RemoteFileError):
    """The store gave no further byte within the allowed number of attempts."""


class RemoteFileRefused(RemoteFileError):
    """The store refused the file, to a fresh address as well."""


class RemoteFileChanged(RemoteFileError):
    """The file is not the one whose first part was read: reading has to start anew."""


class RemoteFileDamaged(RemoteFileError):
    """The bytes that arrived do not have the checksum that the store names for the file."""


class ArchiveError(FileError):
    """The export's file was read, but is not what it should be."""

    final = True


class ArchiveCorrupt(ArchiveError):
    """The archive's structure is broken, or a member has not the length or CRC it should have."""


class ArchiveEncrypted(ArchiveError):
    """A member of the archive is encrypted."""


class ArchiveUnsupported(ArchiveError):
    """The file uses a compression method or a layout that this provider does not read."""


class ArchiveTooLarge(ArchiveError):
    """The archive holds more bytes, or more members, than is allowed."""


class DestinationError(FileError):
    """The user's store failed or refused."""


class FolderError(FileError):
    """What is in the destination's folder forbids to store there."""

    final = True


class FolderConflict(FolderError):
    """The folder belongs to another export, or to another task of the same run."""


class ManifestUnreadable(FolderError):
    """The folder has a manifest that this version cannot understand."""
