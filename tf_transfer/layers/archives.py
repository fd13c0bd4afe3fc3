"""Fingerprints of folders, and archives whose members stay inside the folder that they are unpacked to."""

import hashlib
import os
import re
import shutil
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from tf_transfer import _files

# Below this size nobody is hurt by what a small archive swells to.
_SWELLING_FLOOR_BYTES = 1 << 28
_LARGEST_SWELLING = 100


def cache_folder():
    """Returns the folder for unpacked modules: `$TF_TRANSFER_CACHE`, else `~/.cache/tf_transfer`."""
    named = os.environ.get("TF_TRANSFER_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "tf_transfer"


def fingerprint(folder):
    """Returns the sha256 over the names and contents of the files in `folder`; dot files do not count."""
    folder = Path(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for name in names:
        if not any(part.startswith(".") for part in name.split("/")):
            digest.update(f"{name}\0{_files.file_digest(folder / name)}\0".encode())
    return digest.hexdigest()


def safe_member(name, archive):
    """Returns `name` as a relative path when it stays inside the folder it is unpacked to, else raises."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\\0]|^[A-Za-z]:", name):
        raise ValueError(
            f"{str(archive)!r} has a member that would be written outside its folder: {name!r}. Nothing was unpacked. "
            "Get the archive again from a source you trust."
        )
    return path


def unpack_tar(archive, folder):
    """Unpacks the tar file `archive` (any compression) into `folder`; raises before the first unsafe member."""
    packed, total, members = os.path.getsize(archive), 0, []
    try:
        with tarfile.open(archive, "r:*") as tar:
            # One by one: what a member swells to is read when the next one is looked for.
            for member in tar:
                members.append(member)
                total += member.size
                check_swelling(packed, total, member.name, archive)
                safe_member(member.name, archive)
                if not (member.isfile() or member.isdir()):
                    raise ValueError(
                        f"{str(archive)!r} has a member that is a link or a device: {member.name!r}. A SavedModel "
                        "consists of plain files and folders, so nothing was unpacked."
                    )
            tar.extractall(folder, members=members, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"{str(archive)!r} could not be unpacked: {error}. A SavedModel folder or a complete .tar.gz of one "
            "was expected."
        ) from error


def check_swelling(packed, unpacked, name, archive):
    """Raises when the members of an archive up to `name` swell from `packed` bytes to more than models do."""
    if unpacked > max(_SWELLING_FLOOR_BYTES, _LARGEST_SWELLING * packed):
        raise ValueError(
            f"{str(archive)!r} swells from {packed} to {unpacked} bytes and more, at its member {name!r}. No model "
            "does, so nothing was unpacked. Get the archive again from a source you trust."
        )


def check_zip(zip_file):
    """Raises before anything of a zip file is read: for members outside their folder, links and bombs."""
    packed, unpacked = os.path.getsize(zip_file.filename), 0
    for info in zip_file.infolist():
        safe_member(info.filename, zip_file.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ValueError(f"{zip_file.filename!r} has a member that is a link: {info.filename!r}. No model has any.")
        unpacked += info.file_size
        check_swelling(packed, unpacked, info.filename, zip_file.filename)


def unpack_zip_members(zip_file, prefix, folder):
    """Writes the members of `zip_file` below `prefix` to `folder`, without the prefix."""
    for info in zip_file.infolist():
        if info.is_dir() or not info.filename.startswith(prefix):
            continue
        target = Path(folder) / safe_member(info.filename[len(prefix) :], zip_file.filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        with zip_file.open(info) as source, open(target, "wb") as copy:
            shutil.copyfileobj(source, copy)
