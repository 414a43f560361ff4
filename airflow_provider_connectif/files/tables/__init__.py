# SPDX-License-Identifier: Apache-2.0
"""What is in an export's CSV files: records, columns, changes of columns, and Parquet."""
