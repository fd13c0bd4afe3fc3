"""The weights that are a client's own: kept from one of its rounds to the next, in memory or on disk."""

import os
import re

import numpy as np

from tf_transfer import _files

_FILE = "client_{}.version_{}.npz"


class PersonalStates:
    """Weights of each client. What a round changes counts from `commit` on: a round that is repeated begins alike.

    Args:
        initial: List of arrays, of a client that had no round yet.
        folder: String or path, where each client has a file, or None.
        in_memory: Boolean, whether they are kept in memory, besides the files or without. Defaults to True.
    """

    def __init__(self, initial, folder=None, in_memory=True):
        self._initial, self._folder, self._in_memory = initial, folder, in_memory
        self._arrays, self._versions, self._staged, self._outdated = {}, {}, {}, []
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
            self._versions = _found(folder)

    @property
    def versions(self):
        """Dict from the number of each client that took part to the version of its weights, which counts its rounds."""
        return dict(self._versions)

    def get(self, client):
        """Returns the list of arrays of a client."""
        if client in self._arrays:
            return self._arrays[client]
        if client not in self._versions or self._folder is None:
            return self._initial
        return _read(self._place(client, self._versions[client]))

    def stage(self, client, arrays):
        """Keeps what a client has after a round, until `commit`."""
        if not arrays:
            return
        # A version that counts is never written over: a round that is repeated begins with it.
        version = self._versions.get(client, -1) + 1
        self._staged[client] = (version, arrays if self._in_memory else None)
        if self._folder is not None:
            with _files.whole_file(self._place(client, version)) as draft:
                np.savez(draft, *arrays)

    def commit(self):
        """Makes what was staged count. The files of before stay until `remove_outdated`."""
        for client, (version, arrays) in self._staged.items():
            self._outdated += [(client, self._versions[client])] if client in self._versions else []
            self._versions[client] = version
            if arrays is not None:
                self._arrays[client] = arrays
        self._staged = {}

    def remove_outdated(self):
        """Removes the files that nothing refers to any more."""
        for client, version in self._outdated if self._folder is not None else []:
            if os.path.exists(self._place(client, version)):
                os.remove(self._place(client, version))
        self._outdated = []

    def restore(self, versions):
        """Takes the clients from the files of these versions, a dict like `versions`."""
        self._versions = {int(client): number for client, number in versions.items()}
        if self._in_memory:
            self._arrays = {client: _read(self._place(client, number)) for client, number in self._versions.items()}

    def enter_folder(self, folder, initial):
        """Keeps files in the folder of a run too, unless there is a folder already; `initial` as in the constructor."""
        self._initial = initial
        if folder is None or self._folder is not None:
            return
        self._folder = folder
        for client, arrays in self._arrays.items():
            with _files.whole_file(self._place(client, self._versions[client])) as draft:
                np.savez(draft, *arrays)

    def leave_folder(self, folder):
        """Forgets the folder of a run that has ended."""
        if folder is not None and self._folder == folder:
            self._folder = None

    def _place(self, client, version):
        return os.path.join(self._folder, _FILE.format(client, version))


def _found(folder):
    """Returns the last version of each client that has a file in a folder."""
    matches = [re.fullmatch(r"client_(\d+)\.version_(\d+)\.npz", name) for name in os.listdir(folder)]
    pairs = sorted((int(match.group(1)), int(match.group(2))) for match in matches if match)
    return dict(pairs)


def _read(path):
    with np.load(path, allow_pickle=False) as stored:
        return [stored[name] for name in stored.files]
