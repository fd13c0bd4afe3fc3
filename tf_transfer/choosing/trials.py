"""What a search has tried: the scores of each candidate on each part of the data, kept while it runs."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from tf_transfer import _files


@dataclasses.dataclass(frozen=True)
class Trial:
    """A candidate with so many epochs of its backbone, and how it scored.

    Attributes:
        name: String, the candidate.
        backbone: String.
        method: String, as in `tft.choosing.Recommendation`.
        rung: String, "frozen", "short", "long" or "again": when it was tried last.
        epochs: Integer, epochs of the backbone, 0 where it stayed frozen.
        scores: Tuple of floats, one a part of the data.
        log_losses: Tuple of floats, on the same parts.
        seconds: Float, of training and scoring.
        finished: Boolean, whether there was time for all parts.

    Example:

    >>> trial = Trial("mobilenet_v2, feature extraction", "mobilenet_v2", "feature_extraction", "frozen", 0,
    ...               scores=(0.8, 0.9), log_losses=(0.5, 0.3), seconds=4.0)
    >>> round(trial.score, 2), trial.finished
    (0.85, True)
    """

    name: str
    backbone: str
    method: str
    rung: str
    epochs: int
    scores: tuple
    log_losses: tuple
    seconds: float
    finished: bool = True

    @property
    def score(self):
        """Float, the mean over the parts, NaN where none was reached."""
        return float(np.mean(self.scores)) if self.scores else float("nan")


class Book:
    """Scores by candidate and part, in a folder where a search that was stopped finds them again.

    Args:
        folder: Path, or None to keep them in memory alone.
        settings: Dict of plain data that has to be the same when the search goes on.

    Raises:
        ValueError: When the folder is of a search with other settings.
    """

    def __init__(self, folder, settings):
        self._path = None if folder is None else Path(folder) / "trials.json"
        # Through JSON, so that tuples and lists are alike.
        self._settings = json.loads(json.dumps(settings))
        self._found = {}
        if self._path is not None and self._path.exists():
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["settings"] != self._settings:
                names = [name for name, value in stored["settings"].items() if value != self._settings.get(name)]
                raise ValueError(
                    f"`resume`: {str(self._path.parent)!r} is of a search with other settings ({', '.join(names)}). "
                    "Name another folder, or remove it."
                )
            self._found = stored["parts"]
        elif self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def seconds(self):
        """Float, what all that is written here took."""
        return float(sum(part[2] for part in self._found.values()))

    def get(self, *key):
        """Returns (score, log loss, seconds), or None."""
        found = self._found.get(json.dumps(key))
        return None if found is None else tuple(found)

    def add(self, part, *key):
        self._found[json.dumps(key)] = [float(value) for value in part]
        if self._path is not None:
            _files.write_json(self._path, {"settings": self._settings, "parts": self._found})

    def close(self):
        """Removes the folder, at the end of the search."""
        if self._path is not None:
            shutil.rmtree(self._path.parent, ignore_errors=True)


def fingerprint(labels):
    """Returns a short text that tells labels from others."""
    return hashlib.blake2b(np.ascontiguousarray(labels).tobytes(), digest_size=8).hexdigest()
