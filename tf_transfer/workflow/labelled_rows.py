"""The labelled rows of a file, as a run trains on them: inputs of its model beside what is to be predicted."""

import dataclasses

import numpy as np

from tf_transfer.data import ClassFolder, StreamFingerprint
from tf_transfer.workflow.export_record import files_fingerprint


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of a file with the face of a folder of images: a length, `files`, `class_names`, `examples`.

    Args:
        x: Array, or dict of arrays by the names of the model's inputs.
        y: Integer array of classes, or float array of values.
        files: Tuple of strings, the file that they are from.
        class_names: Tuple of strings, or None for values.
        nouns: String, what the rows are, such as "texts".
    """

    x: np.ndarray | dict
    y: np.ndarray
    files: tuple
    class_names: tuple | None
    nouns: str

    def __len__(self):
        return len(self.y)

    def examples(self, num_rows):
        """Returns inputs of `num_rows` rows (or all, if there are fewer), spread over the file."""
        chosen = np.linspace(0, len(self) - 1, min(num_rows, len(self))).astype(int)
        if isinstance(self.x, dict):
            return {name: np.asarray(values)[chosen] for name, values in self.x.items()}
        return np.asarray(self.x)[chosen]


def as_data(examples):
    """Returns `LabelledRows` or a folder as `tft.fine_tune` takes it."""
    return (examples.x, examples.y) if isinstance(examples, LabelledRows) else examples


def nouns(examples):
    """Returns what the examples are, such as "images"."""
    return examples.kind.nouns if isinstance(examples, ClassFolder) else examples.nouns


def examples_fingerprint(examples):
    """Returns a text that tells the examples and their labels, wherever they lie."""
    if not isinstance(examples, LabelledRows):
        return files_fingerprint(examples)
    fingerprint = StreamFingerprint()
    labels = examples.y
    if examples.class_names is not None:
        labels = np.array([examples.class_names[label] for label in examples.y], dtype=object)
    fingerprint.update((examples.x, labels))
    return fingerprint.hexdigest()
