"""Settings of the site: `uv run --group docs sphinx-build -n -W --keep-going docs docs/_build/html`."""

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LONG_TEXT = re.compile(r"""(["'])(?:(?!\1).){60,}\1""")
sys.path.insert(0, str(HERE / "extensions"))

project = "bayeslaw"
author = copyright = "the bayeslaw developers"
version = release = installed_version("bayeslaw")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxcontrib.programoutput",
    # Of this folder.
    "prepared_files",
    "every_command",
    "long_lines",
    "first_use",
    "mathml",
]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb"}
templates_path = ["templates"]
exclude_patterns = ["_build", "extensions", "templates"]
root_doc = "index"

# Code of the pages is run at every build; what was run of the same code and the same package is kept.
nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
programoutput_prompt_template = "$ {command}\n{output}"
# Two hyphens begin an option, also in what commands say in sentences.
smartquotes_action = "qe"
copybutton_prompt_text = "$ "

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# Names in backticks link where there is such a name; others are code, as they are in Markdown.
default_role = "py:obj"
add_module_names = False
# Files whose names differ by case alone are one file on some systems.
autosummary_filename_map = {
    f"bayeslaw.{name}": f"bayeslaw.{name}_class" for name in ("Advantage", "Attainability", "Fit", "Stack", "Summary")
}
# Types of other packages, whose sites are not asked: the site builds without a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|np|pandas|pd|xarray|xr|jax|flax|nnx|numpyro|arviz|matplotlib|os|pathlib|collections)\..*"),
]

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "bayeslaw"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
# Pages without others below them need no list of these.
html_sidebars = {"gallery": [], "install": []}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def as_code(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Leave a name in backticks that is no public one as it is."""
    return content if node.get("refdomain") == "py" and node["reftype"] == "obj" else None


def readable_signature(app: Any, what: str, name: str, item: Any, options: Any, signature: Any, returns: Any) -> Any:
    """Leave defaults out of a signature that are no code, or long text."""
    if not signature:
        return None
    return LONG_TEXT.sub("...", signature.replace("<factory>", "...")), returns


def setup(app: Any) -> None:
    """Connect with Sphinx."""
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("missing-reference", as_code)
