# SPDX-License-Identifier: Apache-2.0
"""Waiting for many exports with few requests."""
