# SPDX-License-Identifier: Apache-2.0
"""One module for each kind of place that objects are stored in, each with its way of whole-or-nothing."""
