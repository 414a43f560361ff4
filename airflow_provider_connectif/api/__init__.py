# SPDX-License-Identifier: Apache-2.0
"""The Connectif Exports API. This package imports neither Airflow nor the code that handles an export's files."""
