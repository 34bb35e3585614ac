"""What a handout needs to run anywhere: a first cell that installs the course, and links that open it at Colab or Binder.

The repository's address stands in one place, ``[project.urls]`` of pyproject.toml, as ``Repository``. Where it has none there are
no links, and the first cell installs the release of this version by its name.
"""

import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from urllib.parse import quote

from .places import PACKAGE

NAME = "linattn_np"
BRANCH = "handouts"  # where .github/workflows/handouts.yml puts the students' versions, which Colab reads
COLAB = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{}/blob/{}/{})"
)
BINDER = (
    "[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/{}/HEAD?urlpath=lab%2Ftree%2Fhandouts%2F{})"
)
INSTALL = """\
# Installs the course where it is not there yet, as at Colab.
from importlib.util import find_spec

if find_spec("linattn_np") is None:
    %pip install --quiet {}"""


def repository() -> str:
    """The repository's address: of this checkout, else of the package that is installed; "" where it has none."""
    file = PACKAGE.parent / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == NAME:
            return str(project.get("urls", {}).get("Repository", "")).rstrip("/")
    try:
        urls = metadata(NAME).get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    return next((url.partition(", ")[2].rstrip("/") for url in urls if url.startswith("Repository, ")), "")


def badges(file: str, address: str | None = None) -> str:
    """Markdown of the links that open a handout: Colab reads code of GitHub alone, Binder any repository.

    "" without an address.
    """
    address = repository() if address is None else address
    if not address:
        return ""
    host, _, path = address.removeprefix("https://").partition("/")
    kinds = {"github.com": f"gh/{path}", "gitlab.com": f"gl/{quote(path, safe='')}"}
    binder = BINDER.format(kinds.get(host, f"git/{quote(address, safe='')}"), quote(file))
    return f"{COLAB.format(path, BRANCH, quote(file))} {binder}" if host == "github.com" else binder


def install_cell(address: str | None = None) -> str:
    """The code of a handout's first cell: five lines that do nothing where the package is there."""
    from .. import __version__

    address = repository() if address is None else address
    return INSTALL.format(f"git+{address}" if address else f"{NAME}=={__version__}")
