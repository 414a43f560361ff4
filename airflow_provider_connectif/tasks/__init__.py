# SPDX-License-Identifier: Apache-2.0
"""What the operators, sensors, triggers and commands share. Like them, it knows Airflow."""
