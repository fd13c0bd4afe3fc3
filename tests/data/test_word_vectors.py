"""Word vectors in text files: what is read, and which line a message names."""

import gzip

import numpy as np
import pytest

from tf_transfer.data import read_word_vectors

from contract_parts import check_refuses

LINES = "the 1.0 -2.5\ngood 0.5 1e-1\n. . . 3 4\ngood 9 9\n"


@pytest.fixture
def write(tmp_path):
    def to(name, content):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return tmp_path / name

    return to


def test_words_and_numbers_the_first_of_a_word_counts(write):
    vectors = read_word_vectors(write("glove.txt", LINES))
    assert vectors.words == ["the", "good", ". . ."] and vectors.dim == 2
    np.testing.assert_allclose(vectors.vectors, [[1, -2.5], [0.5, 0.1], [3, 4]])


def test_the_header_of_fasttext_is_no_word(write):
    assert read_word_vectors(write("wiki.vec", "2 3\na 1 2 3\nb 4 5 6 \n")).words == ["a", "b"]


def test_only_the_words_asked_for_are_kept(write):
    vectors = read_word_vectors(write("glove.txt", LINES), ["good", "film"])
    assert vectors.words == ["good"]
    table, known = vectors.table(["film", "good"])
    np.testing.assert_allclose(table, [[0, 0], [0.5, 0.1]])
    assert known.tolist() == [False, True] and str(vectors.coverage(["film", "good"])).startswith(
        "1 of 2 words (50.0%)"
    )


def test_compressed(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(LINES.encode()))
    assert len(read_word_vectors(tmp_path / "a.txt.gz")) == 3


def test_messages_name_the_line(write):
    check_refuses(lambda: read_word_vectors(write("a", "a 1 2\nb 1\n")), "line 2", "2 numbers", "'b 1'")
    check_refuses(lambda: read_word_vectors(write("b", "a 1 2\nb 1 2 3\n")), "line 2", "'b 1 2 3'")
    check_refuses(lambda: read_word_vectors(write("c", "a 1 2\nb 1 x\n")), "line 2", "2 numbers")
    check_refuses(lambda: read_word_vectors(write("d", "a 1 nan\n")), "line 1", "finite")
    check_refuses(lambda: read_word_vectors(write("e", "Good 1 2\n"), ["good"]), "no vector for any word", "'good'")
