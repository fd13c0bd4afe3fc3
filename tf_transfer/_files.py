"""Files and folders that appear whole or not at all, whatever ends the process, and sentences for what a disk refuses.

All is written in a draft folder beside the target, synced to the disk, and renamed.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
import uuid

try:
    import fcntl
except ImportError:  # Windows: abandoned drafts are then told by their age alone.
    fcntl = None

DRAFT_PREFIX = ".tmp-"
_OURS = re.compile(r"\.tmp-[0-9a-f]{32}")
_ABANDONED_SECONDS = 24 * 3600
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here (`ulimit -f`)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EIO: "the disk reports an error",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def whole_file(path, kept=""):
    """Gives the path of a draft to write to, which becomes the file `path` when the block ends well.

    The draft has the name of the file, so that writers that go by its ending do what they would do. What is no
    regular file, such as a pipe, is written to as it is.

    Args:
        path: String or path. Its folder has to be there.
        kept: String, a sentence for the error: what is safe all the same. Defaults to what `path` held before.

    Raises:
        OSError: When the disk refuses; the sentence says what was not written and what to do.
    """
    # A link stays a link: what it names is replaced.
    path = os.path.realpath(os.fspath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        yield path
        return
    if not kept and os.path.exists(path):
        kept = "The file that was there before is as it was."
    parent, name = os.path.split(path)
    with disk_errors(path, kept), draft_folder(parent) as folder:
        draft = os.path.join(folder, name)
        yield draft
        _sync(draft)
        os.replace(draft, path)
        _sync_folder(parent)


def write_text(path, text, kept=""):
    """Writes a UTF-8 file, line ends as they are, whole or not at all; see `whole_file`."""
    write_bytes(path, text.encode("utf-8"), kept)


def write_bytes(path, content, kept=""):
    """Writes a file whole or not at all; see `whole_file`."""
    with whole_file(path, kept) as draft, open(draft, "wb") as file:
        file.write(content)


def write_json(path, content, **options):
    """Writes a JSON file whole or not at all; `options` are those of `json.dumps`."""
    write_text(path, json.dumps(content, **options))


@contextlib.contextmanager
def whole_folder(path, overwrite=False, kept=""):
    """Gives a new folder to write to, which becomes the folder `path` when the block ends well.

    Args:
        path: String or path, of nothing or of an empty folder, unless `overwrite`.
        overwrite: Boolean, whether a folder that is there gives way. Defaults to False.
        kept: String, a sentence for the error: what is safe all the same. Defaults to none.

    Raises:
        FileExistsError: When `path` is there and `overwrite` is False.
        OSError: When the disk refuses; the sentence says what was not written and what to do.
    """
    path = os.path.abspath(os.fspath(path))
    parent, name = os.path.split(path)
    with disk_errors(path, kept), draft_folder(parent) as folder:
        draft = os.path.join(folder, name)
        os.mkdir(draft)
        yield draft
        sync_tree(draft)
        if os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path)):
            if not overwrite:
                raise FileExistsError(f"{path!r} is there already. Pass `overwrite=True` or another path.")
            os.rename(path, os.path.join(folder, f"{name}.before"))
        try:
            os.rename(draft, path)
        except OSError as error:
            # Somebody was quicker. A rename never replaces a folder that has something in it.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise FileExistsError(f"{path!r} has appeared meanwhile.") from error
        _sync_folder(parent)


@contextlib.contextmanager
def draft_folder(parent, is_draft=_OURS.fullmatch):
    """Makes a hidden folder in `parent`; what is left of it at the end is removed.

    This process holds a lock on it until it ends, in whatever way, so that the next one to come here knows a draft that
    was abandoned, and removes it.

    Args:
        parent: Path of a folder that is there.
        is_draft: Function that tells drafts by their name.
    """
    folder, lock = _locked_folder(parent)
    try:
        remove_abandoned(parent, is_draft)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_abandoned(parent, is_draft=_OURS.fullmatch):
    """Removes the drafts in `parent` whose process is gone."""
    for name in os.listdir(parent):
        folder = os.path.join(parent, name)
        if not is_draft(name):
            continue
        if os.path.islink(folder):
            # A link on its way to its name is there for a moment only.
            if _age(folder) > _ABANDONED_SECONDS:
                os.unlink(folder)
            continue
        lock = _try_lock(folder) if fcntl else None
        if lock == "held":
            continue
        # Network file systems may know no locks on folders: there a day without a change has to do.
        if lock is not None or _age(folder) > _ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sync_tree(folder):
    """Writes all below `folder` through to the disk, so that a power cut can't empty it once it is renamed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if not os.path.islink(os.path.join(parent, name)):
                _sync(os.path.join(parent, name))
        _sync_folder(parent)


def rename_synced(source, target):
    """Renames, within one file system, and makes that last."""
    os.rename(source, target)
    _sync_folder(os.path.dirname(os.path.abspath(target)))


@contextlib.contextmanager
def disk_errors(path, kept=""):
    """Says in a sentence what a disk refuses, whichever library found out; other errors pass.

    Args:
        path: What is being written.
        kept: String, a sentence about what is safe all the same.
    """
    try:
        yield
    except Exception as error:
        said = refused(error, path, kept)
        if said is None:
            raise
        raise said from error


def refused(error, path, kept=""):
    """Returns the error that says in a sentence that `path` was not written, or None when it was not the disk."""
    number = _number(error)
    if number not in _REASONS or _of_another_place(error, path):
        return None
    # What is written to a draft is told by the name that it would have got.
    path = re.sub(r"[/\\]\.tmp-[0-9a-f]{32}(?=[/\\])", "", os.path.abspath(os.fspath(path)))
    free, way_out = "", "Choose another place, or change its permissions, and start again."
    if number in _FULL:
        folder = path
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        free = f" ({shutil.disk_usage(folder).free / 1e6:,.1f} MB free)"
        way_out = "Make room there, or choose another place, and start again."
    return OSError(
        number, " ".join(filter(None, [f"{path!r} was not written: {_REASONS[number]}{free}.", kept, way_out]))
    )


def _number(error):
    """Returns the error number of an exception, which TensorFlow and HDF5 only put into words, or None.

    None also where somebody has put it into words that do without those of the system.
    """
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if os.strerror(error.errno) in text else None
    found = re.search(r"\berrno = (\d+)", text)
    if found:
        return int(found.group(1))
    return next((number for number in _REASONS if os.strerror(number) in text), None)


def _of_another_place(error, path):
    """Returns whether an error names a file that has nothing to do with `path`, such as one that was read from."""
    named = getattr(error, "filename", None)
    parent = os.path.dirname(os.path.realpath(path))
    return isinstance(named, str) and not os.path.realpath(named).startswith(os.path.join(parent, ""))


def lock_folder(folder):
    """Returns a descriptor that locks a folder until it is closed or the process ends; None where there are no locks.

    Raises:
        BlockingIOError: When another process holds the lock.
    """
    lock = _try_lock(folder) if fcntl else None
    if lock == "held":
        raise BlockingIOError(errno.EAGAIN, "Another process holds the lock", folder)
    return lock


def _locked_folder(parent):
    while True:
        folder = os.path.join(parent, DRAFT_PREFIX + uuid.uuid4().hex)
        os.mkdir(folder)
        if fcntl is None:
            return folder, None
        lock = _try_lock(folder)
        # Somebody who cleaned up in the moment before the lock has taken the folder away.
        if lock != "held" and os.path.isdir(folder):
            return folder, lock
        if lock not in (None, "held"):
            os.close(lock)


def _try_lock(folder):
    """Returns a descriptor that holds the lock on `folder`, "held", or None where there are no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return "held"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return "held" if isinstance(error, BlockingIOError) else None
    return descriptor


def _age(folder):
    """Returns the seconds since the last change of a folder, or of what lies in it."""
    try:
        inside = [] if os.path.islink(folder) else [os.path.join(folder, name) for name in os.listdir(folder)]
        return time.time() - max(os.lstat(path).st_mtime for path in [folder, *inside])
    except OSError:
        return 0.0


def file_digest(path):
    """Returns the sha256 of the file at `path`, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path):
    # Elsewhere than on POSIX systems only what is open for writing can be synced.
    with open(path, "rb" if os.name == "posix" else "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(path):
    # Not all systems let a folder be opened or synced; there the rename is still atomic.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
