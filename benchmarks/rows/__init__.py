"""The rows of the table: what is measured, grouped by what takes part."""
