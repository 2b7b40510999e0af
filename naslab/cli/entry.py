"""The ``naslab`` command: runs a subcommand, and turns an error into one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from io import TextIOWrapper
from pathlib import Path

import typer

from naslab.cli.commands import app
from naslab.errors import NaslabError
from naslab.files import reason

INTERRUPTED = 130


def main() -> None:
    """Entry point: bad input ends with one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal can't show must not end a run after its work
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    os.environ["MPLBACKEND"] = "agg"  # no window is ever opened, and matplotlib can't be imported under a bad name
    # Last, so that a plug-in `module:Class` here is found and shadows nothing. Predicting takes no plug-in, and this
    # folder may come from elsewhere: a `pyarrow.py` in it, which pandas looks for, would be run.
    if sys.argv[1:2] != ["predict"]:
        sys.path.append(str(Path.cwd()))
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run a command line; returns its exit code."""
    try:
        code = app(arguments, prog_name="naslab", standalone_mode=False)
        sys.stdout.flush()
    except NaslabError as error:
        details = getattr(error, "details", "")
        if details:
            print(details.rstrip(), file=sys.stderr)
        return _fail(f"{type(error).__name__}: {error}")
    except typer.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"OutputError: {where}{reason(error)}")
    except SystemExit as error:
        if "_NASLAB_COMPLETE" in os.environ or arguments[:1] in (["--show-completion"], ["--install-completion"]):
            return error.code if isinstance(error.code, int) else 0
        if isinstance(error.__context__, BrokenPipeError):  # the command-line library's way to end then
            return _reader_left()
        # Of code that was called or imported on the way: naslab itself raises none.
        return _fail(f"PluginError: something that was called or imported ended the program: SystemExit: {error}")
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except UnicodeDecodeError as error:
        settings = _settings_read(error)
        if not settings:
            raise
        return _fail(
            f"InvalidValue: matplotlib, which draws the figures, can't be loaded: its settings in {settings!r} are not "
            "UTF-8 text. Fix: save them as UTF-8, or move that file away. What is done is kept: the same command again "
            "continues"
        )
    except Exception as error:
        # Usage errors of the command-line library: an unknown option, a missing argument.
        if not hasattr(error, "format_message"):
            raise
        if str(error.format_message()).startswith("Usage:"):  # no command was given
            print(error.format_message(), file=sys.stderr)
            return 2
        return _fail(f"UsageError: {error.format_message()} See: naslab {_command(arguments)}--help")
    if code == INTERRUPTED:  # also what the command-line library makes of Ctrl-C
        print("\nInterrupted. What is done is kept: the same command again continues.", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _settings_read(error: UnicodeDecodeError) -> str:
    """The settings file that matplotlib was reading; empty if it was not. Its import ends there, and it can't be told
    to leave that file out: one in the present folder comes before all others."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == "matplotlib" and frame.f_code.co_name == "_rc_params_in_file":
            return str(frame.f_locals.get("fname", "matplotlibrc"))
    return ""


def _reader_left() -> int:
    # The reader of our output (head, less) is gone; Python must not complain, either, when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _command(arguments: list[str]) -> str:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups if group.name}
    return f"{arguments[0]} " if arguments and arguments[0] in known else ""


def _fail(message: str) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return 2
