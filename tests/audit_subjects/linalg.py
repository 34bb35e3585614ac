"""Linear algebra: LAPACK does not always take a complex step, and eigenvalues have their own rules."""

import numpy as np

from . import DIFFERENCES, subject

normal = np.random.default_rng(4).standard_normal


@subject(
    wrong={
        "not transposed": ('np.linalg.solve(t["A"].T, dout)', 'np.linalg.solve(t["A"], dout)', "dA db"),
        "sign": ("-np.outer(db, x)", "np.outer(db, x)", "dA"),
    }
)
def solve():
    def forward(t):
        return np.linalg.solve(t["A"], t["b"])

    def backward(t, dout):
        x = np.linalg.solve(t["A"], t["b"])
        db = np.linalg.solve(t["A"].T, dout)
        return {"A": -np.outer(db, x), "b": db}

    return forward, backward, {"A": normal((5, 5)) + 3 * np.eye(5), "b": normal(5)}


@subject(
    wrong={"sign": ("-B.T @ dout @ B.T", "B.T @ dout @ B.T", "dtheta"), "order": ("-B.T @ dout @ B.T", "-B @ dout @ B", "dtheta")}
)
def inverse():
    def forward(A):
        return np.linalg.inv(A)

    def backward(A, dout):
        B = np.linalg.inv(A)
        return -B.T @ dout @ B.T

    return forward, backward, normal((4, 4)) + 3 * np.eye(4)


@subject(wrong={"transposed": ("np.linalg.inv(A).T", "np.linalg.inv(A)", "dtheta")})
def determinant():
    def forward(A):
        return np.linalg.det(A)

    def backward(A):
        return np.linalg.det(A) * np.linalg.inv(A).T

    return forward, backward, normal((4, 4))


@subject(oracle=DIFFERENCES, wrong={"transposed": ("np.linalg.inv(A).T", "np.linalg.inv(A)", "dtheta")})
def log_determinant():
    def forward(A):
        return np.linalg.slogdet(A)[1]

    def backward(A):
        return np.linalg.inv(A).T

    return forward, backward, normal((4, 4)) + 2 * np.eye(4)


@subject(oracle=DIFFERENCES, wrong={"half": ("return U @ Vt", "return 0.5 * U @ Vt", "dtheta")})
def sum_of_singular_values():
    def forward(A):
        return np.linalg.svd(A, compute_uv=False).sum()

    def backward(A):
        U, _, Vt = np.linalg.svd(A, full_matrices=False)
        return U @ Vt

    return forward, backward, normal((5, 3))


@subject(oracle=DIFFERENCES, wrong={"eigenvalue": ("(V * w * c)", "(V * c)", "dtheta")})
def eigenvalues_of_the_symmetric_part():
    c = np.array([1.0, -2.0, 0.7, 0.3])

    def forward(A):
        return (c * np.linalg.eigvalsh(A + A.T) ** 2).sum() / 2

    def backward(A):
        w, V = np.linalg.eigh(A + A.T)
        return 2 * (V * w * c) @ V.T

    return forward, backward, normal((4, 4))


@subject(oracle=DIFFERENCES, wrong={"upper part": (" + np.triu(2 * np.linalg.inv(A @ A.T + np.eye(4)) @ A, 1)", "", "dtheta")})
def cholesky():
    def forward(A):
        return np.log(np.diag(np.linalg.cholesky(A @ A.T + np.eye(4))).real ** 2).sum()

    def backward(A):
        return np.tril(2 * np.linalg.inv(A @ A.T + np.eye(4)) @ A) + np.triu(2 * np.linalg.inv(A @ A.T + np.eye(4)) @ A, 1)

    return forward, backward, normal((4, 4))


@subject("CANNOT JUDGE", oracle="")
def log_determinant_of_a_symmetric_matrix():
    """inv(A) for inv(A).T cannot show where A is symmetric."""

    def forward(A):
        return np.log(np.linalg.det(A))

    def backward(A):
        return np.linalg.inv(A)

    B = normal((4, 4))
    return forward, backward, B @ B.T + np.eye(4)
