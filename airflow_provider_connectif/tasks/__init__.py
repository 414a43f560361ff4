# SPDX-License-Identifier: Apache-2.0
"""What the operators, sensors and triggers share: the only room beside theirs that knows Airflow."""
