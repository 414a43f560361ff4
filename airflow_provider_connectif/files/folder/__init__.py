# SPDX-License-Identifier: Apache-2.0
"""One folder in the user's store: which task may write to it, what becomes visible when, and the manifest."""
