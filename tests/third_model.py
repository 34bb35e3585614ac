"""A model that a reader wrote: one hidden layer of tanh on the query and on what the examples say.

The library does not know it.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Readout:
    """prediction = sum_j a_j tanh(w_j . u), u = (mean of label x covariates ; query); params (hidden, 2 d + 1), rows (w_j ;
    a_j).
    """

    d: int = 3
    hidden: int = 7

    def init_params(self, rng, std):
        return std * rng.standard_normal((self.hidden, 2 * self.d + 1))

    def as_params(self, params):
        params = np.asarray(params)
        if params.shape != (self.hidden, 2 * self.d + 1):
            raise ValueError(f"params: expected shape {(self.hidden, 2 * self.d + 1)}, got {params.shape}")
        return params

    def loss_and_grad(self, params, Z, y):
        W, a = params[:, :-1], params[:, -1]
        u = np.concatenate([(Z[:, :-1, -1:] * Z[:, :-1, :-1]).mean(axis=1), Z[:, -1, :-1]], axis=1)
        E = np.tanh(u @ W.T)
        error = E @ a - y
        dprediction = 2 * error / len(y)
        dR = dprediction[:, None] * a * (1 - E * E)
        return (error * error).mean(), np.concatenate([dR.T @ u, (dprediction @ E)[:, None]], axis=1)
