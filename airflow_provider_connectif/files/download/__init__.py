# SPDX-License-Identifier: Apache-2.0
"""A remote file: ranges, resuming, signed URLs that are renewed when they expire."""
