# SPDX-License-Identifier: Apache-2.0
"""The file of an export: read, unpacked and stored. Knows neither Airflow nor the Exports API."""
