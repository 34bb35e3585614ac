"""A reader's file in a process of its own: no way out of it, not even ``os._exit``, a crash or a print, can pass for a verdict.

The parent asks on the child's standard input and waits. A verdict counts only when the child hands over a whole report in a file,
with the token that it was asked with. What the reader's code prints goes to the standard error.
"""

import importlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from .gradient import audit_gradient
from .report import Report
from .row import Row
from .subject import AuditError

PACKAGES = str(Path(__file__).parents[2])  # the folder that this package stands in


def audit_in_child(function: str, seed: int = 0, entries: int = 2000, seconds: float | None = None) -> Report:
    """Audit FILE.py:NAME or MODULE:NAME in a new process of this interpreter. Raises AuditError when it cannot be run."""
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="linattn_audit_") as folder:
        result = Path(folder) / "report.json"
        asked = {"function": function, "seed": seed, "entries": entries, "seconds": seconds}
        path = os.pathsep.join(filter(None, (PACKAGES, os.environ.get("PYTHONPATH"))))
        child = subprocess.Popen(
            [sys.executable, "-c", "from linattn_np.audit.child import main; main()"],
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            child.communicate(json.dumps({**asked, "token": token, "result": str(result)}).encode())
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        found = _read(result, token)
    if found is None:
        raise AuditError(f"--function: {function} ended the process {_how(child.returncode)} before there was a verdict")
    if "error" in found:
        raise AuditError(found["error"])
    return as_report(found["report"])


def as_report(kept: dict[str, Any]) -> Report:
    """A report from its ``to_dict()``."""
    rows = [Row(**row) for row in kept["rows"]]
    return Report(kept["title"], rows, kept["notes"], kept["taylor"], kept["point"], kept["oracle"], list(kept["arrays"]))


def _read(path: Path, token: str) -> dict[str, Any] | None:
    """What the child handed over; None when that is nothing, or not its own."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("token") == token else None


def _how(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        return f"by the signal {signal.Signals(-status).name} (a crash in compiled code, or out of memory)"
    return f"with exit status {status} (os._exit?)"


def main() -> None:
    """The child: read what is asked, audit, hand over the report, and leave at once."""
    asked = json.loads(sys.stdin.buffer.read())
    token, result = asked.pop("token"), Path(asked.pop("result"))
    found: dict[str, Any]
    try:
        found = {"report": _audit(**asked)}
    except (ValueError, OSError) as error:
        found = {"error": str(error)}
    except KeyboardInterrupt:
        found = {"error": f"--function: {asked['function']} was left by KeyboardInterrupt"}
    except MemoryError:
        found = {"error": f"--function: {asked['function']} needs more memory than there is"}
    except BaseException:
        traceback.print_exc()
        os._exit(3)
    part = result.with_suffix(".part")
    part.write_text(json.dumps({**found, "token": token}, allow_nan=False), encoding="utf-8")
    os.replace(part, result)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)  # no handler of the reader's has a word after this


def _audit(function: str, seed: int, entries: int, seconds: float | None) -> dict[str, Any]:
    made = load_function(function)
    return audit_gradient(**{"entries": entries, "seconds": seconds, **made}, seed=seed, title=function).to_dict()


def load_function(text: str) -> dict[str, Any]:
    """The arguments of ``audit_gradient`` from MODULE:NAME or FILE.py:NAME; the current folder is importable."""
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name:
        raise ValueError(f"--function: expected MODULE:NAME or FILE.py:NAME, got {text!r}")
    module = _load(where)
    if not hasattr(module, name):
        own = [key for key in vars(module) if not key.startswith("_")]
        raise ValueError(f"--function: {where} has no {name!r}; it has {', '.join(own) or 'nothing'}")
    made = getattr(module, name)
    if callable(made) and not isinstance(made, type):
        try:
            made = made()
        except (Exception, SystemExit) as error:
            message = " ".join(str(error).split())
            said = f"{type(error).__name__}: {message}"
            raise AuditError(f"--function: {name}() raised {said}; it is called without arguments") from error
    if isinstance(made, dict):
        made = dict(made)
    elif isinstance(made, tuple | list) and len(made) == 3:
        made = dict(zip(("forward", "backward", "theta"), made, strict=True))
    else:
        kind = type(made).__name__
        raise AuditError(f"--function: expected {name} to give (forward, backward, theta) or a dictionary, got {kind}")
    missing = [key for key in ("forward", "backward", "theta") if key not in made]
    unknown = [
        key for key in made if key not in ("forward", "backward", "theta", "hvp", "reference", "equations", "entries", "seconds")
    ]
    if missing or unknown:
        raise AuditError(f"--function: {name} must name forward, backward and theta; missing {missing}, unknown {unknown}")
    return made


def _load(where: str) -> Any:
    """A module by name or by file."""
    file = Path(where)
    is_file = where.endswith(".py")
    if is_file and not file.is_file():
        raise ValueError(f"--function: there is no file {where}")
    folder = str(file.absolute().parent) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if not is_file:
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None:
            raise ImportError("it is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(file.stem, module)
        spec.loader.exec_module(module)
        return module
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"--function: {where} cannot be imported: {type(error).__name__}: {message}") from error
