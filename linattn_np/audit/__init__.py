"""The gradient audit: it judges a gradient derived by hand, names the first wrong line, and says when it cannot judge.

>>> import numpy as np, linattn_np as la
>>> theta = {"w": np.array([0.3, -1.2, 0.7])}
>>> forward = lambda t: (t["w"] ** 2).sum()
>>> la.audit.audit_gradient(forward, lambda t: {"w": 2 * t["w"]}, theta).verdict
'ok'
>>> la.audit.audit_gradient(forward, lambda t: {"w": t["w"]}, theta).first_wrong.note
'every entry is 1/2 of the derivative: is a factor 2 missing?'
"""

from .gradient import audit_gradient
from .library.layer import audit_layer
from .library.model import audit_model
from .report import Report
from .row import Row
from .subject import AuditError

__all__ = ["AuditError", "Report", "Row", "audit_gradient", "audit_layer", "audit_model"]
