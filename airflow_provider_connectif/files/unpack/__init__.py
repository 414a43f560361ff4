# SPDX-License-Identifier: Apache-2.0
"""The members of an export's archive: verified, and with safe names."""
