"""MassGen's YAML configs: to a ``Team`` (``load``), or to a report on their keys (``check``)."""

from massgen_compat.config.findings import Finding
from massgen_compat.config.loader import Config, load, parse
from massgen_compat.config.report import CheckReport, check, check_text

__all__ = ["CheckReport", "Config", "Finding", "check", "check_text", "load", "parse"]
