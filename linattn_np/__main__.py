"""The command line: ``python -m linattn_np COMMAND``. Each command is a module with ``add_arguments`` and ``run``."""

import sys
from importlib import import_module

from . import __version__
from .endings import WORDS, Interrupted, Signals, Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

COMMANDS = {  # name: (module, one line of help, an example)
    "reproduce": ("experiments.command", "draw the paper's figures from our own training runs", "reproduce --quick"),
    "sweep": (
        "experiments.sweep_command",
        "train a grid of learning rates, seeds, settings and optimizers",
        "sweep --settings setting1,setting2 --rates 0.01,0.02 --seeds 6",
    ),
    "bench": ("bench", "time every piece, NumPy against Numba, and fit how the cost grows", "bench --quick"),
    "audit": ("audit.command", "judge gradients derived by hand, the library's or your own", "audit --layer linear"),
    "doctor": ("experiments.doctor", "say whether this machine is ready, and what to do where it is not", "doctor"),
    "warmup": ("experiments.warmup", "compile now what the course needs, so that nobody waits later", "warmup"),
    "lessons": ("teaching.command", "run the lessons, check them, make handouts for students", "lessons run 1 2"),
}


def build_parser(names: "Sequence[str]") -> "argparse.ArgumentParser":
    """The parser of ``python -m linattn_np``; of the commands only those in ``names`` are loaded."""
    import argparse  # here, because a command is ready for Ctrl-C before it loads anything

    parser = argparse.ArgumentParser(
        prog="python -m linattn_np",
        description="Linear Transformers trained in plain NumPy, every gradient derived by hand.",
        epilog="example, two minutes: python -m linattn_np reproduce --quick\n\n"
        "exit status: 0 done and good, 1 the answer is no or the work is unfinished, 2 wrong usage or cannot judge",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"linattn_np {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, (module, summary, example) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, epilog=f"example: python -m linattn_np {example}")
        if name in names:
            implementation = import_module(f".{module}", __package__)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


def parse(argv: "list[str]") -> "argparse.Namespace":
    """The arguments; wrong ones end with a message and status 2, as argparse does it."""
    parser = build_parser(argv[:1])
    if not argv:
        parser.print_help(sys.stderr)
        parser.error("the following arguments are required: COMMAND")
    if argv[0] not in COMMANDS and not argv[0].startswith("-"):
        from difflib import get_close_matches

        close = get_close_matches(argv[0], COMMANDS, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        parser.error(f"COMMAND: invalid choice: {argv[0]!r} (choose from {', '.join(COMMANDS)}){guess}")
    return parser.parse_args(argv)


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command and return its exit status. A user's mistake is one line and status 2, never a traceback."""
    is_program = argv is None
    arguments = sys.argv[1:] if argv is None else list(argv)
    name = f" {arguments[0]}" if arguments and arguments[0] in COMMANDS else ""
    with Signals(name, last=is_program) as signals:
        if is_program:
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that knows ASCII alone
        args = parse(arguments)
        try:
            signals.work()
            status: int = args.run(args)
            sys.stdout.flush()
            return status
        except Unfinished as error:
            return complain(name, error, 1)
        except ModuleNotFoundError as error:
            if error.name != "numba":
                raise
            return complain(name, "this needs Numba: python -m pip install numba", 2)
        except RuntimeError as error:
            if "locator" not in str(error):  # Numba's word for a place to keep what it compiled
                raise
            return complain(name, f"set NUMBA_CACHE_DIR to a folder that you may write: {error}", 2)
        except MemoryError as error:
            return complain(name, f"this takes more memory than there is: {error}", 2)
        except (ValueError, OSError) as error:
            return complain(name, error, 2)
        except KeyboardInterrupt as error:
            status = error.status if isinstance(error, Interrupted) else 130
            return complain(name, f"{WORDS[status]}; what was finished is kept", status, start="\n")


def complain(name: str, words: object, status: int, start: str = "") -> int:
    """One line on standard error. -> the status"""
    print(f"{start}linattn_np{name}: {words}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
