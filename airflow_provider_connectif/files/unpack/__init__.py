# SPDX-License-Identifier: Apache-2.0
"""The members of an export's archive, checked, under safe names."""
