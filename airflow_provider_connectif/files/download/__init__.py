# SPDX-License-Identifier: Apache-2.0
"""A remote file, read by ranges: downloads are resumed, and expired signed URLs are renewed."""
