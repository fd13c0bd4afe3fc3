"""Texts, rows and recordings as exported models of them take them, each with a name to answer under."""

from pathlib import Path

import numpy as np

from tf_transfer import builders
from tf_transfer.data import decode_audio, read_table, read_text
from tf_transfer.data.audio_files import RECORDINGS
from tf_transfer.data.example_files import checked_files


def takes_rows_or_sound(served):
    """Returns whether an exported model is that of a builder for texts, tables or recordings."""
    return _builder_name(served) in _READERS


def read_inputs(served, paths, skip_bad):
    """Reads what a model is asked about.

    Args:
        served: `ServedModel` of a model of texts, rows or recordings by a builder.
        paths: Path or list of paths: one file of texts or rows as in training, whose labels may be missing; a text
            file (.txt) with a text a line; or WAV files and folders of them.
        skip_bad: Boolean, whether to leave out recordings that can't be read.

    Returns:
        A list of names, such as "reviews.csv:2" or the files, and a function that returns the inputs from one place in
        that list to another.
    """
    return _READERS[_builder_name(served)](served.metadata["builder"], paths, skip_bad)


def _builder_name(served):
    return (served.metadata.get("builder") or {}).get("builder")


def _texts(_, paths, __):
    path = _one_file(paths)
    if path.suffix == ".txt":
        with open(path, encoding="utf-8") as file:
            texts = [line.rstrip("\n") for line in file]
        if not any(texts):
            raise ValueError(f"{str(path)!r} has no texts. Write one a line.")
        texts = np.array(texts, object)
    else:
        texts = read_text(path, target=False).texts
    return _numbered(path, len(texts)), lambda start, stop: texts[start:stop]


def _rows(fields, paths, _):
    path = _one_file(paths)
    builder = getattr(builders, fields["builder"]).from_dict(fields)
    kinds = {name: column["kind"] for name, column in builder.columns.items()}
    table = read_table(path, columns=list(kinds), kinds=kinds, verbose=False)
    inputs = {name: np.asarray(values) for name, values in builder.inputs(table).items()}
    return _numbered(path, table.num_rows), lambda start, stop: {
        name: values[start:stop] for name, values in inputs.items()
    }


def _recordings(fields, paths, skip_bad):
    files = checked_files(paths, RECORDINGS, skip_bad)
    rate, num_samples = fields["sample_rate"], round(fields["seconds"] * fields["sample_rate"])

    def read(start, stop):
        return np.stack([decode_audio(Path(file).read_bytes(), rate, num_samples) for file in files[start:stop]])

    return files, read


def _one_file(paths):
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if len(paths) != 1:
        raise ValueError(f"The model reads one file of texts or rows at a time. Received: {len(paths)}.")
    return Path(paths[0])


def _numbered(path, num):
    return [f"{path}:{row}" for row in range(1, num + 1)]


_READERS = {
    "TextClassifier": _texts,
    "TextRegressor": _texts,
    "TabularClassifier": _rows,
    "TabularRegressor": _rows,
    "AudioClassifier": _recordings,
}
