"""Finds the files of examples, and those among them that cannot be trained on, before training starts."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tf_transfer import _checks

_NUM_SHOWN = 10
_PROGRESS_FROM = 500


class FileKind(NamedTuple):
    """What files of examples hold, and how they are told from others and from damaged ones.

    Attributes:
        noun: String, what one file is.
        nouns: String, what several are.
        other: String, what any other file is: "no image".
        others: String, what several others are: "no images".
        suffixes: Tuple of strings, endings of the files that are read.
        unreadable: Tuple of strings, endings of files of this kind in formats that are not read: named as bad, never
            passed over.
        why_bad: Function of the bytes of a file that returns why it cannot be used, or an empty string.
        bad: Class of a pair (file, reason).
    """

    noun: str
    nouns: str
    other: str
    others: str
    suffixes: tuple
    unreadable: tuple
    why_bad: Callable
    bad: type


def checked_files(paths, kind, skip_bad):
    """Returns the files of a kind that `paths` name, those of a folder sorted, every one of them checked."""
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    files, ignored = [], []
    for path in map(Path, paths):
        if path.is_dir():
            found, passed_over = find_files(path, kind)
            files += found
            ignored += passed_over
        elif path.exists():
            files.append(str(path))
        else:
            raise FileNotFoundError(missing(path, f"{kind.noun} file or folder"))
    where = ", ".join(str(path) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    warn_ignored(ignored, where, kind)
    if not files:
        raise ValueError(
            f"No {kind.nouns} found in: {where or paths!r}. Expected files that end in {', '.join(kind.suffixes)}."
        )
    bad = find_bad(files, kind)
    report_bad(bad, len(files), where, kind, skip_bad)
    left_out = {each.file for each in bad}
    files = [file for file in files if file not in left_out]
    if not files:
        raise ValueError(f"No usable {kind.noun} is left in: {where}. {summarize(bad)}")
    return files


def find_files(folder, kind):
    """Returns the sorted files of a kind below `folder` and, as a second list, the files passed over."""
    found, ignored = [], []

    def fail(error):
        raise PermissionError(f"The folder cannot be read: {error.filename}. {error.strerror}.") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            known = Path(name).suffix.lower() in kind.suffixes + kind.unreadable
            (found if known and not is_hidden(name) else ignored).append(os.path.join(parent, name))
    return found, ignored


def is_hidden(name):
    """Whether a file or folder of this name is a system's, not a user's."""
    return name.startswith((".", "__MACOSX"))


def find_bad(files, kind):
    """Returns a pair (file, reason) for each of `files` that cannot be read to its end."""
    # Reading and decoders release the interpreter's lock, so threads use all cores.
    pool = ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1))
    try:
        reasons = list(_with_progress(pool.map(lambda file: _why_bad(file, kind), files), len(files), kind))
    finally:
        pool.shutdown(cancel_futures=True)
    return [kind.bad(file, reason) for file, reason in zip(files, reasons, strict=True) if reason]


def report_bad(bad, num_files, where, kind, skip_bad):
    """Raises a `ValueError` that names the bad files, or warns of them with `skip_bad=True`."""
    if not bad:
        return
    noun = kind.noun if num_files == 1 else kind.nouns
    if skip_bad:
        warnings.warn(f"Left out {len(bad)} of {num_files} {noun} in {where}: {summarize(bad)}", stacklevel=5)
        return
    raise ValueError(
        f"{len(bad)} of {num_files} {noun} in {where} cannot be used: {summarize(bad)}\n"
        "Repair or remove them, or skip them with skip_bad=True (--skip-bad)."
    )


def summarize(bad):
    """Returns the first ten bad files and their reasons, a line each."""
    lines = [f"\n  {file}: {reason}" for file, reason in bad[:_NUM_SHOWN]]
    more = len(bad) - _NUM_SHOWN
    return "".join(lines) + (f"\n  ... and {more} more" if more > 0 else "")


def warn_ignored(ignored, where, kind):
    """Says which files below `where` are not used."""
    if ignored:
        shown = ", ".join(os.path.basename(file) for file in ignored[:3]) + (", ..." if len(ignored) > 3 else "")
        files = f"1 file that is {kind.other}" if len(ignored) == 1 else f"{len(ignored)} files that are {kind.others}"
        warnings.warn(f"Ignored {files} (or hidden) in {where}: {shown}", stacklevel=5)


def missing(path, what):
    """Returns a sentence about a path that does not exist, with the nearest name beside it."""
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"There is no {what} {str(path)!r}.{_checks.did_you_mean(path.name, siblings)}"


def _why_bad(file, kind):
    try:
        contents = Path(file).read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return kind.why_bad(contents) if contents else "is empty (0 bytes)"


def _with_progress(results, total, kind):
    if total < _PROGRESS_FROM:
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, f"Checking {kind.nouns}", total=total, console=Console(stderr=True), transient=True)
