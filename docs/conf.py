"""How Sphinx makes the site of what build.py wrote. Nothing is fetched: MathJax comes with a package and is copied."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes

import linattn_np

project, author, release = "linattn_np", "The linattn_np authors", linattn_np.__version__
copyright = "MIT (code), CC BY 4.0 (lessons)"
extensions = ["myst_nb", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 3
html_theme = "pydata_sphinx_theme"
html_title = "linattn_np"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system says
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("knobs.js", "access.js")]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
mathjax_path = "mathjax/tex-svg-full.js"  # one file, its letters in it
pygments_style, highlight_language = "default", "python"


def copy_mathjax(app, error):
    """Put the one file of MathJax beside the pages."""
    folder = find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
    if error is None:
        place = Path(app.outdir) / "_static" / "mathjax"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(folder) / "static" / "mathjax" / "tex-svg-full.js", place)


def leave_out_source_maps(app, error):
    """The theme's source maps, a tenth of the site, are for those who change the theme."""
    for file in Path(app.outdir).rglob("*.map"):
        file.unlink()


def leave_formulas_alone(app, doctree):
    """Give MathJax the formulas as they stand; Sphinx would put those with a line break into an environment that knows no
    tags.
    """
    for node in doctree.findall(nodes.math_block):
        if not node.get("no-wrap"):
            text = rf"\[{node.astext()}\]"
            node["no-wrap"], node.children = True, [nodes.Text(text)]


def setup(app):
    """Sphinx calls this."""
    app.connect("doctree-read", leave_formulas_alone)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", leave_out_source_maps)
