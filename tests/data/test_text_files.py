"""Labelled texts from files: what is read, which columns are meant, and what a message names."""

import gzip
import lzma

import numpy as np
import pytest

from tf_transfer.data import as_dataset, read_text

from contract_parts import check_refuses

PLAIN = "id,review,stars\n1,Good and light,5\n2,Broke,1\n3,Fine,5\n"


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a file of rows and returns its path."""

    def to(name, content):
        path = tmp_path / name
        opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
        with opener(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return to


def refused(path, *parts, **options):
    check_refuses(lambda: read_text(path, **options), *parts)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.xz"])
def test_texts_and_labels_plain_and_compressed(write, name):
    texts = read_text(write(name, PLAIN), target="stars")
    assert texts.texts.tolist() == ["Good and light", "Broke", "Fine"]
    assert texts.class_names == ("1", "5") and texts.labels.tolist() == [1, 0, 1]
    assert texts.labels.dtype == np.int64


def test_classes_that_are_numbers_are_sorted_by_size(write):
    rows = "".join(f"t{number},{number}\n" for number in (10, 9, 2))
    assert read_text(write("a.csv", "text,label\n" + rows)).class_names == ("2", "9", "10")


def test_quoted_fields_may_hold_commas_quotes_and_lines(write):
    texts = read_text(write("a.csv", 'text,label\n"He said ""no"",\nthen left",a\nb,c\n'))
    assert texts.texts[0] == 'He said "no",\nthen left'


def test_quotes_that_do_not_pair_are_letters_in_tab_separated_files(write):
    texts = read_text(write("a.tsv", 'label\ttext\n1\t"so called\n0\t9" wide\n'))
    assert texts.texts.tolist() == ['"so called', '9" wide']
    quoted = read_text(write("b.tsv", 'label\ttext\n1\t"with a\ttab"\n0\tplain\n'))
    assert quoted.texts.tolist() == ["with a\ttab", "plain"]


def test_the_separator_is_read_from_the_header(write):
    assert read_text(write("a.csv", "text;label\nwell, well;0\nno;1\n")).texts[0] == "well, well"


def test_a_byte_order_mark_is_no_part_of_a_name(write):
    assert len(read_text(write("a.csv", b"\xef\xbb\xbftext,label\na,0\nb,1\n"))) == 2


def test_the_only_other_column_is_the_other_one(write):
    path = write("a.csv", "phrase,mood\na,0\nb,1\n")
    assert read_text(path, text="phrase").labels.tolist() == [0, 1]
    assert read_text(path, target="mood").texts.tolist() == ["a", "b"]
    refused(path, "isn't plain", "'phrase', 'mood'", "`text=`")


def test_numbers_to_predict(write):
    path = write("a.csv", "text,price\na,1.5\nb,-2\n")
    texts = read_text(path, regression=True)
    assert texts.labels.tolist() == [1.5, -2.0] and texts.labels.dtype == np.float32 and texts.class_names is None
    refused(write("b.csv", "text,price\na,1.5\nb,cheap\n"), "line 3 (row 2)", "'price'", "'cheap'", regression=True)
    refused(write("c.csv", "text,price\na,inf\nb,1\n"), "line 2", "finite", regression=True)


def test_texts_without_labels(write):
    texts = read_text(write("a.csv", PLAIN), target=False)
    assert texts.labels is None and len(texts) == 3


def test_a_test_file_takes_the_classes_of_the_training_file(write):
    path = write("a.csv", "text,label\na,bad\nb,bad\n")
    texts = read_text(path, class_names=("good", "bad"))
    assert texts.labels.tolist() == [1, 1]
    refused(path, "line 2 (row 1)", "'label'", "Did you mean 'bat'?", class_names=("bat", "good"))
    refused(path, "different names", class_names=("bad", "bad"))


def test_the_parts_of_a_split_are_all_texts_once_and_have_all_classes(write):
    rows = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(10))
    whole = read_text(write("a.csv", "text,label\n" + rows))
    train, held_out = whole.split(0.4, seed=3)
    assert sorted([*train.texts, *held_out.texts]) == sorted(whole.texts)
    assert np.bincount(held_out.labels).tolist() == [2, 2]
    x, y = train
    assert all(int(text.split()[1]) % 2 == label for text, label in zip(x, y)), "texts and labels came apart"


def test_texts_become_batches(write):
    texts = read_text(write("a.csv", PLAIN), target="stars")
    x, y = next(iter(as_dataset(tuple(texts), batch_size=2, input_shape=(), num_classes=2)))
    assert x.numpy().tolist() == [b"Good and light", b"Broke"] and y.numpy().tolist() == [1, 0]


def test_messages_name_file_line_and_column(write):
    refused(write("a.csv", "text,label\na,0\n ,1\n"), "a.csv, line 3 (row 2), column 'text'", "empty")
    refused(write("b.csv", "text,label\na,0\nb,\n"), "b.csv, line 3 (row 2), column 'label'", "missing")
    refused(write("c.csv", "text,label\na,0\nb,0\n"), "c.csv", "'label'", "two classes", "'0'")
    refused(write("d.csv", "text,label\na,0\nb\n"), "d.csv, line 3 has 1 fields", "['text', 'label']")
    refused(write("e.csv", PLAIN), "`target`='star' is no column", "Did you mean 'stars'?", target="star")
    refused(write("f.csv", PLAIN), "two columns", text="review", target="review")
    refused(write("g.csv", "text,text\na,0\n"), "each differently")
    refused(write("h.csv", "text,label\n"), "rows below it")
    refused(write("i.csv", b"text,label\na,0\n\xff\xfe,1\n"), "i.csv, line 3 is no UTF-8")
    refused(write("j.csv", 'text,label\na,0\n"b,1\n'), "j.csv", "begins at line 3")
    refused(write("l.csv", "0,It was a very good day\n1,It was bad\n"), "header")
    many = "".join(f"text {i},{i}.5\n" for i in range(150))
    refused(write("m.csv", "text,label\n" + many), "150 different values", "`regression=True`")


def test_a_damaged_archive_is_said(write, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(b"no gzip")
    refused(str(tmp_path / "a.csv.gz"), "can't be unpacked")
