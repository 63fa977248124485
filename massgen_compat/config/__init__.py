"""Reads MassGen's YAML configs.

``load`` turns a file into a ``Team``; ``check`` makes a report that says what each key means here.
"""

from massgen_compat.config.findings import Finding
from massgen_compat.config.loader import Config, load, parse
from massgen_compat.config.report import CheckReport, check, check_text

__all__ = ["CheckReport", "Config", "Finding", "check", "check_text", "load", "parse"]
