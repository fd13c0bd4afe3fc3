"""Tables: read from files with complaints that name the line, brought to columns, and set side by side."""

import numpy as np
import pytest

import tf_transfer as tft

HEADER = "age;sex;ward;note;id;sick\n"
NOTES = ["came in with pain", "no pain at all today", "was sent home again early", "wants to be seen soon"]

SICK = ["no", "yes"]
NUMBERS = "".join(f"{i},{i % 3}\n" for i in range(20))


def written(folder, text, name="rows.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def patients(num_rows=24):
    lines = [
        f"{30 + i if i % 5 else '?'};{i % 2};{'AB'[i % 2] if i % 7 else 'NA'};{NOTES[i % 4]} {i};p{i};{SICK[i % 2]}"
        for i in range(num_rows)
    ]
    return HEADER + "\n".join(lines) + "\n"


def test_kinds_missing_values_and_classes_are_read_off_the_file_and_said(tmp_path, capsys):
    table = tft.data.read_table(written(tmp_path, patients()), target="sick", kinds={"sex": "category"})
    assert table.kinds == {"age": "number", "sex": "category", "ward": "category", "note": "text"}
    assert list(table) == list(table.columns) and len(table) == 4 and table.num_rows == 24
    assert np.isnan(table["age"][[0, 5]]).all() and table["age"][1] == 31.0
    assert table["ward"][0] == "" and table["ward"][1] == "B" and table["note"][2] == "was sent home again early 2"
    assert table["sex"].dtype == "float64"
    assert table.class_names == ("no", "yes") and table.y.tolist() == [0, 1] * 12
    said = capsys.readouterr().out
    for words in ("24 rows; sick has 2 classes: no 12, yes 12", "age (5 missing)", "category: sex, ward (4 missing)"):
        assert words in said
    assert "left out: id (another word in nearly each row" in said


def test_numbers_to_predict_and_a_test_file_in_the_classes_of_another(tmp_path):
    path = written(tmp_path, "x,y\n1,0.5\n2,1.25\n3,2\n")
    table = tft.data.read_table(path, "y", verbose=False)
    assert table.task == "regression" and table.y.tolist() == [0.5, 1.25, 2.0] and table.class_names is None
    codes = written(tmp_path, "x,y\n1,10\n2,9\n3,9\n", "codes.csv")
    assert tft.data.read_table(codes, "y", verbose=False).class_names == ("9", "10")
    assert tft.data.read_table(codes, "y", "regression", verbose=False).y.tolist() == [10.0, 9.0, 9.0]
    assert tft.data.read_table(codes, "y", class_names=["10", "9", "8"], verbose=False).y.tolist() == [0, 1, 1]
    tabs = written(tmp_path, "x\ty\n1\ta b\n2\tc\n", "rows.tsv")
    assert tft.data.read_table(tabs, verbose=False).kinds == {"x": "number", "y": "category"}
    assert tft.data.read_table(written(tmp_path, "x|y\n1|2\n3|5\n"), separator="|", verbose=False)["y"].tolist() == [
        2,
        5,
    ]


@pytest.mark.parametrize(
    "text, options, sentence",
    [
        ("a,b\n1,2\n", {"target": "c"}, r"rows.csv has no column 'c'; it has \['a', 'b'\]"),
        ("a,age\n1,2\n", {"kinds": {"aeg": "number"}}, "Did you mean 'age'"),
        ("a,b\n1,2\n3,?\n5,\n", {"target": "b"}, r"line 3 \(row 2\), column 'b': the target is missing, as in 2 of 3"),
        ("a,b\n1,2\n3,2\n", {"target": "b"}, "at least two classes. Column 'b' .* has one in all 2 rows: '2'"),
        ("a,b\n1,2\n3,2\n", {"target": "b", "task": "regression"}, "'b' is 2 in all rows"),
        (
            "a,b\n1,2\n3,high\n",
            {"target": "b", "task": "regression"},
            "line 3 .*'b' must be a number.*'high'",
        ),
        ("a,b\n1,x\n3,y\n5,z\n", {"target": "b", "class_names": ["x", "y"]}, r"line 4 .*must be one of \['x', 'y'\]"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 fields"),
        (
            "a,b\n" + NUMBERS + "unknown,1\n",
            {},
            "line 22 .*'a' .*as it is in 20 rows.*'unknown'",
        ),
        ("a,b\nx,1\ny,2\n", {"kinds": {"a": "number"}}, "line 2 .*'a' must be a number"),
        ("a,b\n1,2\n1,2\n", {}, "no column to predict from. Left out: .*one value in all rows"),
        ("a,b\n1,2\n", {"task": "clasification"}, "Did you mean 'classification'"),
        ("a,b\n1,2\n", {"kinds": {"a": "numbers"}}, "Did you mean 'number'"),
    ],
)
def test_what_is_wrong_is_said_with_file_column_and_line(tmp_path, text, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        tft.data.read_table(written(tmp_path, text), verbose=False, **options)


def test_a_slip_among_numbers_can_be_named_as_missing_or_made_a_category(tmp_path):
    path = written(tmp_path, "a,b\n" + NUMBERS + "unknown,1\n")
    assert np.isnan(tft.data.read_table(path, missing=["unknown"], verbose=False)["a"][20])
    table = tft.data.read_table(path, kinds={"a": "category"}, verbose=False)
    assert table["a"][20] == "unknown" and table["a"][3] == "3"
    # Columns that are named stay, also when this table finds nothing in them.
    table = tft.data.read_table(written(tmp_path, "a,b\n1,2\n1,3\n"), columns=["a"], verbose=False)
    assert table.kinds == {"a": "number"} and not table.left_out


def test_parquet_is_read_as_text_is_or_says_what_it_takes(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas reads parquet")
    pytest.importorskip("pyarrow", reason="pyarrow reads parquet")
    frame = pandas.DataFrame({"a": [1, None, 3], "b": ["x", "y", None], "y": [0.5, 1.5, 2.5]})
    frame.to_parquet(tmp_path / "rows.parquet")
    table = tft.data.read_table(tmp_path / "rows.parquet", "y", verbose=False)
    assert np.isnan(table["a"][1]) and table["a"][2] == 3.0 and table["b"].tolist() == ["x", "y", ""]
    assert table.y.tolist() == [0.5, 1.5, 2.5]


class NAType:
    """What pandas calls its missing value, which refuses to be compared."""

    def __eq__(self, other):
        return self

    __ne__ = __eq__
    __hash__ = None

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


def test_columns_of_all_origins_become_two_types():
    columns = tft.data.table_columns(
        {
            "whole": np.array([1, 2, 3]),
            "flag": [True, False, True],
            "gaps": np.array([1, None, NAType()], dtype=object),
            "words": np.array(["a", NAType(), float("nan")], dtype=object),
            "bytes": [b"caf\xc3\xa9", b"b", b""],
            "nothing": [None, None, None],
        }
    )
    np.testing.assert_array_equal(columns["gaps"], [1.0, np.nan, np.nan])
    assert columns["words"].tolist() == ["a", "", ""] and columns["bytes"].tolist() == ["café", "b", ""]
    assert columns["flag"].tolist() == [1.0, 0.0, 1.0] and np.isnan(columns["nothing"]).all()
    kinds = tft.data.column_kinds(columns)
    assert kinds == {
        "whole": "number",
        "flag": "number",
        "gaps": "number",
        "words": "category",
        "bytes": "category",
        "nothing": "constant",
    }


@pytest.mark.parametrize(
    "column, sentence",
    [
        ([1, "a", 3], r"'c' must hold texts only. Received: 1 in row 0"),
        ([1, [2], None], r"'c' must hold numbers or texts only. Received: \[2\] in row 1"),
        ([1.0, float("inf"), 2.0], "'c' has an infinite value in row 1"),
        (np.zeros((3, 2)), r"'c' must hold numbers or texts, one a row. Received: float64 of shape \(3, 2\)"),
        (np.array(["2020-01-01"] * 3, "datetime64[D]"), "'c' must hold numbers or texts"),
        ([1, 2], "as many rows each.*'c': 2"),
    ],
)
def test_columns_that_are_no_columns_are_refused(column, sentence):
    with pytest.raises(ValueError, match=sentence):
        tft.data.table_columns({"other": [1, 2, 3], "c": column})


def test_tables_are_aligned_by_name_and_the_rest_is_said(capsys):
    source = {"age": [60, 70], "ca": [0, 1], "ward": ["A", "B"]}
    target = {"ward": ["C"], "Ca": [2.0], "age": [50]}
    aligned = tft.data.align_tables(source, target)
    assert list(aligned.source) == list(aligned.target) == ["age", "ward"]
    assert aligned.only_source == ("ca",) and aligned.only_target == ("Ca",) and aligned.filled == ()
    said = capsys.readouterr().out
    assert "2 columns in both: age, ward" in said and "Do 'ca' and 'Ca' mean the same?" in said
    whole = tft.data.align_tables(source, target, keep="source", verbose=False)
    assert list(whole.target) == ["age", "ca", "ward"] and np.isnan(whole.target["ca"]).all()
    assert "ca, missing" not in said and "1 in the source only, missing in all rows of the target: ca" in str(whole)
    with pytest.raises(ValueError, match="no column of the same name"):
        tft.data.align_tables({"a": [1]}, {"b": [1]})
    with pytest.raises(ValueError, match="'a' holds numbers in the source and texts in the target"):
        tft.data.align_tables({"a": [1]}, {"a": ["1"]})
