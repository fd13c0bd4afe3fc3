"""Word vectors in the text format of GloVe and fastText."""

import os

import numpy as np

from tf_transfer.data.delimited import unpacked


class WordVectors:
    """Pretrained vectors of words.

    Args:
        words: List of strings.
        vectors: float32 array of shape `(num_words, dim)`, in the order of `words`.
        path: String, where they come from, for messages. Defaults to "word vectors".

    Example:

    >>> found = tft.data.WordVectors(["good", "bad"], np.eye(2, dtype="float32"))
    >>> table, known = found.table(["bad", "film"])
    >>> table.tolist(), known.tolist()
    ([[0.0, 1.0], [0.0, 0.0]], [True, False])
    >>> print(found.coverage(["bad", "film"]))
    1 of 2 words (50.0%) have a vector in word vectors
    """

    def __init__(self, words, vectors, path="word vectors"):
        self.words, self.vectors, self.path = list(words), np.asarray(vectors, "float32"), os.fspath(path)
        if self.vectors.ndim != 2 or len(self.words) != len(self.vectors):
            raise ValueError(
                f"`vectors` must have shape (num_words, dim) with one row a word. Received: {len(self.words)} words, "
                f"vectors of shape {self.vectors.shape}."
            )
        self._rows = {word: row for row, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    @property
    def dim(self):
        """Integer, how many numbers a vector has."""
        return self.vectors.shape[1]

    def table(self, vocabulary):
        """Returns the vectors of a vocabulary, zeros for words without, and which words have one."""
        rows = np.array([self._rows.get(word, -1) for word in vocabulary], int)
        known = rows >= 0
        table = np.zeros((len(rows), self.dim), "float32")
        table[known] = self.vectors[rows[known]]
        return table, known

    def coverage(self, vocabulary):
        """Returns a sentence that says how many words of a vocabulary have a vector."""
        known = sum(word in self._rows for word in vocabulary)
        share = known / max(len(vocabulary), 1)
        return f"{known:,} of {len(vocabulary):,} words ({share:.1%}) have a vector in {self.path}"


def read_word_vectors(path, vocabulary=None):
    """Reads word vectors from a file as GloVe and fastText publish them: a word and its numbers a line.

    Only the words that are asked for are kept, so that a file of many gigabytes needs little memory. A first line of
    two integers, as fastText writes it, is passed over; of a word that comes twice the first line counts.

    Args:
        path: Path of the text file, plain or as `.gz`, `.xz` or `.bz2`, in UTF-8.
        vocabulary: Sequence of strings, the words that are wanted. Defaults to None: all.

    Returns:
        `WordVectors`.

    Raises:
        FileNotFoundError: When there is no such file.
        ValueError: When a line has another number of values, or one that is no finite number, naming the line; when
            no word of the vocabulary has a vector.

    Example:

    >>> with open("vectors.txt", "w") as file:
    ...     _ = file.write("good 1.0 0.5\\nbad -1.0 0.5\\n")
    >>> tft.data.read_word_vectors("vectors.txt", ["bad"]).vectors.tolist()
    [[-1.0, 0.5]]
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file of word vectors {path!r}.")
    wanted = None if vocabulary is None else set(vocabulary)
    words, vectors = {}, []
    for number, line, dim in _lines(path):
        # Some published words have spaces in them; their numbers are the last ones.
        word, *fields = line.split(" ", 1) if line.count(" ") == dim else line.rsplit(" ", dim)
        if " " in word and _is_number(word.rsplit(" ", 1)[-1]):
            raise ValueError(_wrong(path, number, line, f"a word and {dim} numbers"))
        if word not in words and (wanted is None or word in wanted):
            words[word] = len(vectors)
            vectors.append(_numbers(" ".join(fields).split(" "), path, number, line))
    if not words:
        sample = sorted(wanted or ())[:5]
        raise ValueError(f"{path} has no vector for any word of the vocabulary, such as {sample}. Is it in lower case?")
    return WordVectors(list(words), np.stack(vectors), path)


def _lines(path):
    """Yields the number of each line, the line, and how many numbers it holds, as the header or the first line says."""
    dim = None
    # Words may hold all that Unicode calls the end of a line, so that only a line feed is one.
    with unpacked(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            line = line.rstrip("\r\n ")
            if number == 1 and line.count(" ") == 1 and all(field.isdigit() for field in line.split(" ")):
                dim = int(line.split(" ")[1])
                continue
            dim = line.count(" ") if dim is None else dim
            if dim < 1 or line.count(" ") < dim or line.startswith(" "):
                raise ValueError(_wrong(path, number, line, f"a word and {max(dim, 1)} numbers"))
            yield number, line, dim


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _numbers(fields, path, number, line):
    try:
        values = np.array(fields, "float32")
    except ValueError as error:
        raise ValueError(_wrong(path, number, line, f"a word and {len(fields)} numbers")) from error
    if not np.isfinite(values).all():
        raise ValueError(_wrong(path, number, line, "finite numbers"))
    return values


def _wrong(path, number, line, expected):
    shown = line.strip()
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return f"{path}, line {number} must hold {expected}, separated by single spaces. Received: {shown!r}."
