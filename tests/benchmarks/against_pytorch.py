"""Our training step and Hessian beside the straightforward PyTorch loop with autograd, in one process.

PyTorch is not a requirement of linattn_np; install it yourself (the CPU build is enough) and run, from the project's folder:

    python tests/benchmarks/against_pytorch.py

The loop to beat writes the model over tokens, with einsum and (n+1) x (n+1) scores. Losses, gradients and Hessians are compared
first; then both sides are timed in turn, and the ratios of the medians are printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
import linattn_np as la
from linattn_np.training.batch_gradient import BatchGradient

try:
    import torch
except ImportError:
    sys.exit("against_pytorch: PyTorch is not installed; it is needed for this comparison only")

torch.set_default_dtype(torch.float64)
SETTINGS = {
    "setting1": (la.RegressionTask(), 3),
    "setting3": (la.RegressionTask(covariates="gamma"), 3),
    "bigger": (la.RegressionTask(n=60, d=20), 8),
}


def torch_loss(params, Z, y):
    """The loss of the model over tokens; params (L, 1, 2, d, d), Z (B, n+1, d+1)."""
    N, D = Z.shape[1:]
    mask = torch.ones(N)
    mask[-1] = 0.0
    for P, Q in params[:, 0]:
        full_P, full_Q = torch.zeros(D, D), torch.zeros(D, D)
        full_P[:-1, :-1], full_Q[:-1, :-1], full_P[-1, -1] = P, Q, 1.0
        scores = torch.einsum("bjd,de,bie->bij", Z, full_Q, Z) * mask
        Z = Z + torch.einsum("bij,bjd->bid", scores, torch.einsum("bjd,ed->bje", Z, full_P)) / (N - 1)
    return ((-Z[:, -1, -1] - y) ** 2).mean()


def torch_sample(task, batch):
    """A fresh batch drawn with PyTorch."""
    X = torch.randn(batch, task.n + 1, task.d)
    if task.covariates == "gamma":
        radius = torch.distributions.Gamma(task.gamma_shape, 1 / task.gamma_scale).sample((batch, task.n + 1, 1)).sqrt()
        X = radius * X / X.norm(dim=-1, keepdim=True)
    labels = (X @ torch.randn(batch, task.d, 1))[..., 0]
    y = labels[:, -1].clone()
    labels[:, -1] = 0.0
    return torch.cat([X, labels[..., None]], dim=-1), y


class TorchLoop:
    """One training step at each call: sample, gradient, clip, Adam."""

    def __init__(self, task, params, batch):
        self.task, self.batch = task, batch
        self.params = torch.tensor(params, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.params], lr=0.02, betas=(0.9, 0.9))

    def __call__(self):
        Z, y = torch_sample(self.task, self.batch)
        self.optimizer.zero_grad()
        torch_loss(self.params, Z, y).backward()
        torch.nn.utils.clip_grad_norm_([self.params], 1.0)
        self.optimizer.step()


class OurLoop:
    """The same step by hand."""

    def __init__(self, task, params, batch):
        self.gradient = BatchGradient(la.LinearTransformer(task.d, len(params)), task, batch, seed=0)
        self.params, self.optimizer = params, la.optimizers.Adam(0.02, 0.9, 0.9)
        self.state = self.optimizer.init(params)

    def __call__(self):
        _, grad = self.gradient(self.params)
        self.params, self.state = self.optimizer.update(self.params, la.optimizers.clip(grad, 1.0), self.state)


def alternate(ours, theirs, rounds, turn=0.3):
    """Median seconds of a call of each, timed in turn so that a slower moment of the machine hits both.

    A turn lasts about ``turn`` seconds, as in training: each begins with calls that are not counted, since the other's threads
    still wait busily for work (OpenMP's do), and a machine that stood still is slow at first.
    """
    sides = [], []
    for function, seconds in zip((ours, theirs), sides, strict=True):
        function()
        began = time.perf_counter()
        function()
        seconds.append(max(1, int(turn / (time.perf_counter() - began))))  # calls in a turn
    for _ in range(rounds):
        for function, seconds in zip((ours, theirs), sides, strict=True):
            for _ in range(seconds[0] // 3):
                function()
            began = time.perf_counter()
            for _ in range(seconds[0]):
                function()
            seconds.append((time.perf_counter() - began) / seconds[0])
    return tuple(statistics.median(seconds[1:]) for seconds in sides)


def compare(task, layers, with_hessian):
    """Largest relative difference of loss, gradient and Hessian on one batch."""
    rng = np.random.default_rng(0)
    params = la.init_params(rng, layers, task.d, std=0.05)
    Z, y = task.sample(50, rng)
    x, tensors = torch.tensor(params, requires_grad=True), (torch.tensor(Z), torch.tensor(y))
    loss = torch_loss(x, *tensors)
    (grad,) = torch.autograd.grad(loss, x)
    value, ours = la.loss_and_grad(params, Z, y)
    worst = max(abs(value - loss.item()) / value, np.abs(ours - grad.numpy()).max() / np.abs(ours).max())
    if with_hessian:
        hessian = torch.autograd.functional.hessian(lambda p: torch_loss(p, *tensors), x).reshape(params.size, -1).numpy()
        worst = max(worst, np.abs(la.hessian(params, Z, y) - hessian).max() / np.abs(hessian).max())
    return worst


def peak_memory(side, name, batch):
    """Megabytes that five steps need at their peak, in a fresh process that has already made one step on two prompts (Linux)."""
    return float(
        subprocess.run(
            [sys.executable, __file__, "--memory", side, name, str(batch)], capture_output=True, text=True, check=True
        ).stdout
    )


def measure_memory(side, name, batch):
    task, layers = SETTINGS[name]
    params = la.init_params(np.random.default_rng(0), layers, task.d)
    loop = {"ours": OurLoop, "torch": TorchLoop}[side]
    loop(task, params, 2)()
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here: compiling had one of its own
    step = loop(task, params, batch)
    for _ in range(5):
        step()
    print((memory("VmHWM") - before) / 1024)


def memory(field):
    """Kilobytes of this process: VmRSS now, VmHWM at the peak."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)).split()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the numbers to FILE")
    parser.add_argument("--memory", nargs=3, metavar=("SIDE", "SETTING", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        return measure_memory(args.memory[0], args.memory[1], int(args.memory[2]))
    rows = {}
    print(f"torch {torch.__version__} on {torch.get_num_threads()} threads, ours on {la.kernels.get_threads()}")
    for name, batch, rounds in (("setting1", 1000, 15), ("setting3", 1000, 15), ("bigger", 1000, 5)):
        task, layers = SETTINGS[name]
        difference = compare(task, layers, with_hessian=name == "setting1")
        print(f"{name}: loss and gradient{' and Hessian' * (name == 'setting1')} agree to {difference:.1e}")
        params = la.init_params(np.random.default_rng(0), layers, task.d)
        times = alternate(OurLoop(task, params, batch), TorchLoop(task, params, batch), rounds)
        rows[f"{name}, training step, batch {batch}"] = times
    task, layers = SETTINGS["setting1"]
    params = la.init_params(np.random.default_rng(0))
    Z, y = task.sample(1000, np.random.default_rng(1))
    tensors = torch.tensor(Z), torch.tensor(y)
    rows["setting1, Hessian on 1000 prompts"] = alternate(
        lambda: la.hessian(params, Z, y),
        lambda: torch.autograd.functional.hessian(lambda p: torch_loss(p, *tensors), torch.tensor(params)),
        rounds=3,
    )
    print(f"\n{'':36s} {'ours':>12s} {'PyTorch':>12s} {'ratio':>8s}")
    for label, (ours, theirs) in rows.items():
        print(f"{label:36s} {ours * 1e3:9.2f} ms {theirs * 1e3:9.1f} ms {theirs / ours:8.1f}")
    memory = [peak_memory(side, "bigger", 1000) for side in ("ours", "torch")]
    print(f"{'bigger, memory added by five steps':36s} {memory[0]:9.1f} MB {memory[1]:9.1f} MB {memory[1] / memory[0]:8.1f}")
    if args.json:
        record = {label: {"ours_seconds": a, "torch_seconds": b, "ratio": b / a} for label, (a, b) in rows.items()}
        Path(args.json).write_text(
            json.dumps({**record, "bigger, memory": {"ours_mb": memory[0], "torch_mb": memory[1]}}, indent=1)
        )


if __name__ == "__main__":
    main()
