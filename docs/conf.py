# SPDX-License-Identifier: Apache-2.0
"""Sphinx's configuration of the documentation site; `scripts/docs` builds it.

The source folder is the checkout, not docs/: so the links between README, docs, results and
notebooks are the same here as in a file browser. Notebooks are shown as they are committed, not run.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import smmulab
from smmulab._version import __version__

project = "smmulab"
copyright = "the authors of smmulab; Apache-2.0"
release = version = __version__
assert smmulab  # autodoc documents the installed package

extensions = ["myst_nb", "sphinx.ext.autodoc", "reference_pages"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "docs/**.md",
    "notebooks/*.ipynb",
    "results/README.md",
    "workloads/traces/README.md",
    "workloads/recordings/README.md",
]
exclude_patterns = ["build", ".venv", "**/.*"]

html_theme = "furo"
html_title = f"smmulab {release}"
html_extra_path = ["site"]
html_show_sphinx = False
html_copy_source = False
smartquotes = False
default_role = "code"

myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
