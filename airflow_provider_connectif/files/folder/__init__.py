# SPDX-License-Identifier: Apache-2.0
"""One folder of the user's store: who may write, what becomes visible when, and the manifest."""
