# SPDX-License-Identifier: Apache-2.0
"""The Connectif Exports API. Knows nothing of Airflow, nor of what becomes of an export's file."""
