"""The command line: ``python -m linattn_np COMMAND``. Each command is a module with ``add_arguments`` and ``run``."""

import argparse
import sys
from importlib import import_module

COMMANDS = {  # name: (module, one line of help, an example)
    "reproduce": ("experiments.command", "draw the paper's figures from our own training runs", "reproduce --quick"),
    "sweep": (
        "experiments.sweep_command",
        "train a grid of learning rates, seeds, settings and optimizers",
        "sweep --settings setting1,setting2 --rates 0.01,0.02 --seeds 6",
    ),
    "bench": ("bench", "time every piece, NumPy against Numba, and fit how the cost grows", "bench --quick"),
    "audit": ("audit.command", "judge gradients derived by hand, the library's or your own", "audit --layer linear"),
    "lessons": ("teaching.command", "run the lessons, check them, make handouts for students", "lessons run 1 2"),
}


def build_parser(names):
    """The parser of ``python -m linattn_np``; of the commands only those in ``names`` are loaded."""
    parser = argparse.ArgumentParser(
        prog="python -m linattn_np",
        description="Linear Transformers trained in plain NumPy, every gradient derived by hand.",
        epilog="exit status: 0 done and good, 1 the answer is no, 2 wrong usage or cannot judge",
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, (module, summary, example) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, epilog=f"example: python -m linattn_np {example}")
        if name in names:
            implementation = import_module(f".{module}", __package__)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


def main(argv=None):
    """Run one command and return its exit status. A user's mistake is one line and status 2, never a traceback."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(argv[:1]).parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"linattn_np {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nlinattn_np {args.command}: interrupted; what was finished is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
