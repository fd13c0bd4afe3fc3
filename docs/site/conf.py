"""How Sphinx makes the documentation site; `make site` runs it on the pages that assemble.py lays out."""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

# What kernels of the tutorials inherit: no home folder, and data that every clone has.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_TRANSFER_CACHE"] = tempfile.mkdtemp(prefix="tf_transfer_site_")
os.environ.pop("TF_TRANSFER_DATA", None)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["MPLBACKEND"] = "Agg"
os.environ["PYTHONPATH"] = str(ROOT)

import public_names  # noqa: E402

import tf_transfer as tft  # noqa: E402

public_names.as_tft()

project = "tf-transfer"
author = "The tf-transfer authors"
version = release = tft.__version__
language = "en"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "docstrings", "linked_names", "printed_output"]
nitpicky = True
# What other packages raise.
nitpick_ignore_regex = [("py:exc", r"(tf|urllib)\..*")]
suppress_warnings = ["mystnb.mime_priority"]

autodoc_inherit_docstrings = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style"), ("Call arguments", "params_style"), "Reference"]
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 4
nb_custom_formats = {".py": "tutorial_notebooks.read"}
nb_execution_mode = os.environ.get("TUTORIALS", "cache")
nb_execution_cache_path = str(ROOT / "build" / "site" / "executed")
nb_execution_in_temp = True
nb_execution_timeout = 1800
nb_execution_raise_on_error = True
nb_output_stderr = "remove"

html_theme = "furo"
html_show_copyright = html_show_sphinx = False
html_title = f"tf-transfer {release}"
html_static_path = [str(HERE / "static")]
html_css_files, html_js_files = ["site.css"], ["chooser.js"]
html_copy_source = False
html_show_sourcelink = False
pygments_style, pygments_dark_style = "friendly", "monokai"
