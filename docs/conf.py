"""How the documentation is built: `sphinx-build -W docs docs/_build/html`, without a network."""

import sys
from pathlib import Path

# The experiments, of which the gallery is made, are in no package; gallery and docstrings lie here.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import docstrings  # noqa: E402
import gallery  # noqa: E402

import initlab  # noqa: E402

project = "initlab"
author = copyright = "The initlab authors"
release = initlab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "gallery/*/*"]

html_theme = "furo"
html_title = "initlab"

# Every notebook is run at every build, and one that raises or takes a minute fails it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60
nb_execution_in_temp = True
nb_merge_streams = True

myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "alphabetical"

# Attributes stand in the list of their class, and not as entries of their own.
napoleon_use_ivar = True
napoleon_attr_annotations = False


def setup(app) -> None:
    """Sphinx calls this when it starts."""
    # Before napoleon, which comes at 500 and expects reStructuredText.
    app.connect("autodoc-process-docstring", docstrings.to_restructured_text, priority=100)
    app.connect("autodoc-skip-member", docstrings.skip_fields)
    app.connect("builder-inited", gallery.write_pages)
