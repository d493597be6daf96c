"""How Sphinx builds the documentation: `sphinx-build -W --keep-going docs build/docs`."""

import os
from importlib.metadata import version as installed_version

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the notebook is small

project = "cnn3"
author = "the cnn3 authors"
version = release = installed_version("cnn3")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.intersphinx", "sphinx_copybutton"]
exclude_patterns = ["cifar10/**/*.md", "pictures/README.md"]  # the tables of single experiments: study.md has them all
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_timeout = 300  # seconds a cell
nb_execution_raise_on_error = True
nb_merge_streams = True

default_role = "code"  # docstrings have single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # as written, not as evaluated
napoleon_google_docstring, napoleon_numpy_docstring = True, False
intersphinx_mapping = {}  # nothing is looked up while building

html_theme = "furo"
html_show_copyright = False
html_title = "cnn3"
html_copy_source = False
html_static_path, html_css_files = ["_static"], ["site.css"]
html_theme_options = {"navigation_with_keys": True}
