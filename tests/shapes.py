"""Shape comments held to what the code does: record the shapes of every commented line that runs, then compare.

A claim is a comment that begins with a shape, ``# (B, N, D)``, behind an assignment, a ``return`` or a field of a NamedTuple or
dataclass. Recording knows nothing of the comments, so a false comment can be planted in the text and compared without running
again.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

SHAPE = re.compile(r"\(([^()]*,[^()]*)\)")
STATEMENTS = ast.Assign | ast.AnnAssign | ast.Return


def statements(source):
    """[(first line, last line, names or "return" or "Class.field")] of the statements that may carry a claim."""
    found = []

    def visit(node, owner):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, STATEMENTS):
                found.append((child.lineno, child.end_lineno, _targets(child, owner)))
            visit(child, child.name if isinstance(child, ast.ClassDef) else None)

    visit(ast.parse(source), None)
    return found


def _targets(statement, owner):
    if isinstance(statement, ast.Return):
        return ["return"]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    flat = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    names = [ast.unparse(part) for part in flat]
    return [f"{owner}.{name}" for name in names] if owner else names


def claims(source):
    """{(line, name): [shapes, each a tuple of symbols]} of a module's text; "or" between shapes gives a choice."""
    found, lines = {}, source.splitlines()
    for first, last, names in statements(source):
        comment = re.search(r"#\s*(\(.*)", lines[last - 1])
        start = comment and SHAPE.match(comment[1])
        if start:
            shapes = re.match(r"\([^()]*\)(?: or \([^()]*\))*", comment[1])[0]
            choices = [tuple(part.strip() for part in shape.split(",") if part.strip()) for shape in SHAPE.findall(shapes)]
            found |= {(first, name): choices for name in names}
    return found


class Recorder:
    """Shapes of arrays by (file, line, name), from every function of ``files`` that runs inside ``record(sizes)``."""

    def __init__(self, files):
        self.seen = defaultdict(list)  # (file, line, name): [(shape, sizes)]
        self.lines = {str(file): self._by_line(Path(file).read_text(encoding="utf-8")) for file in files}

    @staticmethod
    def _by_line(source):
        return {line: (first, last, names) for first, last, names in statements(source) for line in range(first, last + 1)}

    def record(self, sizes, function, *arguments, **named):
        """Call the function and write down what its lines make; ``sizes`` are what the symbols of comments stand for."""
        for item in arguments:
            self._fields(item, sizes)
        before = sys.gettrace()
        sys.settrace(lambda frame, event, value: self._enter(frame, sizes))
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(before)

    def _enter(self, frame, sizes):
        file = frame.f_code.co_filename
        if file not in self.lines:
            return None
        known, open_statement = self.lines[file], []

        def local(frame, event, value):
            if (open_statement and not open_statement[0][0] <= frame.f_lineno <= open_statement[0][1]) or event == "return":
                for first, _, names in open_statement:
                    self._write(file, first, names, frame, value if event == "return" else None, sizes)
                open_statement.clear()
            if event == "return":
                self._fields(value, sizes)
            elif event == "line" and frame.f_lineno in known and not open_statement:
                open_statement.append(known[frame.f_lineno])
            return local

        return local

    def _write(self, file, line, names, frame, value, sizes):
        for name in names:
            try:
                array = value if name == "return" else eval(name, frame.f_globals, frame.f_locals)
            except Exception:  # a name that a nested scope made, or an exception under way
                continue
            if isinstance(array, np.ndarray):
                self._add((file, line, name), array.shape, sizes)

    def _add(self, key, shape, sizes):
        if (shape, sizes) not in self.seen[key]:
            self.seen[key].append((shape, sizes))

    def _fields(self, value, sizes):
        """The array fields of what a function returned: a state, a tape, a record."""
        for item in value if type(value) is tuple else (value,):
            file = str(getattr(sys.modules.get(type(item).__module__), "__file__", ""))
            for line, (first, _, names) in self.lines.get(file, {}).items():
                owner, _, name = names[0].partition(".")
                value = getattr(item, name, None) if line == first and owner == type(item).__name__ else None
                if isinstance(value, np.ndarray) or type(value) is tuple:  # a tuple of rows: an array that can be compared
                    self._add((file, line, names[0]), np.shape(value), sizes)


def size_of(symbol, sizes, words):
    """The number that a symbol stands for, None for a word that only counts as an axis. Raises KeyError for an unknown one.

    A symbol that begins with * stands for any number of axes, and is itself.
    """
    if symbol in words:
        return None
    if symbol.startswith("*"):
        return symbol
    names = set(re.findall(r"[A-Za-z_]\w*", symbol))
    if not names <= set(sizes):
        raise KeyError(symbol)
    return eval(symbol, {}, dict(sizes))


def fits(claim, shape):
    """Whether a shape is what a claim says: numbers, None for any length, a string for any number of axes."""
    star = next((i for i, each in enumerate(claim) if isinstance(each, str)), None)
    if star is not None:
        behind = len(claim) - star - 1
        claim, shape = claim[:star] + claim[star + 1 :], shape[:star] + shape[max(star, len(shape) - behind) :]
    return len(claim) == len(shape) and all(a in (None, b) for a, b in zip(claim, shape, strict=True))


def complaints(file, source, seen, words=()):
    """What is wrong with the claims of a module's text, given the shapes seen in it; a claim that never ran is wrong too."""
    found = []
    for (line, name), choices in claims(source).items():
        shapes = seen.get((str(file), line, name), [])
        if not shapes and not any((str(file), line, other) in seen for _, other in _beside(source, line)):
            found.append(f"{Path(file).name}:{line} {name}: the line never ran")
        for shape, sizes in shapes:
            try:
                allowed = [tuple(size_of(symbol, sizes, words) for symbol in choice) for choice in choices]
            except KeyError as symbol:
                found.append(f"{Path(file).name}:{line} {name}: no size is known for {symbol}")
                break
            if not any(fits(a, shape) for a in allowed):
                found.append(f"{Path(file).name}:{line} {name} is {shape}, the comment claims {choices} = {allowed}")
                break
    return found


def _beside(source, line):
    """The other names of the statement that begins on this line: a tape beside the array that the comment speaks of."""
    return [(first, name) for first, _, names in statements(source) if first == line for name in names]
