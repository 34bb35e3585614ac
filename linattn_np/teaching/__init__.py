"""What the lessons use: ``check`` for exercises, ``predict`` for guesses, figures and sliders that also work on a plain page.

>>> from linattn_np.teaching import judge
>>> judge("01.1", 5).kind
'wrong value'
"""

from .exercise import Exercise, Slip, find, from_catalogue
from .figures import knob, show, slider
from .film import moving
from .guesses import predict, reveal
from .profiles import by_profile, profile
from .tables import facts, loaded, paper_and_us, symbols, table, versions
from .verdicts import Verdict, check, judge

__all__ = [
    "Exercise", "Slip", "Verdict", "by_profile", "check", "facts", "find", "from_catalogue", "judge", "knob", "loaded",
    "moving", "paper_and_us", "predict", "profile", "reveal", "show", "slider", "symbols", "table", "versions",
]  # fmt: skip
