"""Finds the sections: every module of benchmarks/sections with a SECTION."""

from __future__ import annotations

import importlib
import pkgutil

from benchmarks import sections
from benchmarks.section import Section


def all_sections() -> dict[str, Section]:
    """The sections by name, in their files' order. Raises ValueError for a name used twice."""
    found: dict[str, Section] = {}
    for module in sorted(pkgutil.iter_modules(sections.__path__), key=lambda one: one.name):
        section = importlib.import_module(f"{sections.__name__}.{module.name}").SECTION
        if not isinstance(section, Section):
            raise TypeError(f"{module.name}.SECTION is no Section")
        if section.name in found:
            raise ValueError(f"two sections are named {section.name}")
        found[section.name] = section
    return found
