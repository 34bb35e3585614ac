"""Why depth favours Adam: what a tight clip and rates for the layers explain of its lead when Adam gets the same.

``methods`` are SGD and Adam with neither, one or both; ``layers`` what each layer hands on, which predicts the layers' rates;
``training`` one run and the search; ``controls`` budgets, switches, starts and a larger batch; ``readings`` what is read off the
losses. Lesson 30.
"""

from .figure import ALT, CLAIMS, SECONDS, TITLE, draw, measure, sizes, summary

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]
