"""`tf-transfer predict`: files in, labels and scores out, or numbers."""

import csv
import io
import json
import os

from tf_transfer import _files
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.printing import print_table, verbosity
from tf_transfer.cli.shared_flags import add_class_names, add_shared, class_names

NAME = "predict"
SUMMARY = "ask a trained model about images, texts, rows or recordings"
DESCRIPTION = """\
Asks an exported model, or a .keras file, about image files; an exported model about texts, the rows of a table and
recordings. A classifier answers with labels and scores, a regressor with numbers. Results go to the standard output,
progress and warnings to the error stream."""
EXAMPLES = """\
examples:
  tf-transfer predict saved_models/flowers photo.jpg holiday/
  tf-transfer predict saved_models/flowers/2 holiday/ --top-k 3 --output labels.csv
  tf-transfer predict model.keras photo.jpg --class-names daisy,rose,tulip
  tf-transfer predict saved_models/reviews reviews.csv --output labels.csv
  tf-transfer predict saved_models/heart new_patients.csv
  tf-transfer predict saved_models/flowers holiday/ --json | jq '.predictions[].label'"""
WHEN_STOPPED = "Stopped: nothing was written."

_FORMATS = ("table", "csv")


def add_arguments(parser):
    parser.add_argument(
        "model", metavar="MODEL", help="exported model, NAME (newest version) or NAME/1; or a .keras file"
    )
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="image or WAV files, and folders with them anywhere below; or a file of texts or rows, as in training",
    )
    add_shared(parser, "top_k", type=int, default=1)
    parser.add_argument("--format", choices=_FORMATS, help="how to write them on the screen (default: table)")
    parser.add_argument("--output", metavar="FILE", help="write to a .csv or .json file instead of the screen")
    add_class_names(parser, ", for a .keras file that knows none (default: those of the model)")
    add_shared(parser, "batch_size", type=int, default=32)
    add_shared(parser, "skip_bad")


def run(arguments):
    from tf_transfer.workflow import predict

    write = _writer(arguments)
    _check_output(arguments.output)
    predictions = predict(
        arguments.model,
        arguments.inputs,
        class_names=class_names(arguments),
        top_k=arguments.top_k,
        batch_size=arguments.batch_size,
        skip_bad=arguments.skip_bad,
        verbose=int(verbosity(arguments) == 1),
    )
    content = {"predictions": _rows(predictions)}
    if arguments.output is not None:
        _files.write_text(arguments.output, write(predictions))
        return Outcome({**content, "output": arguments.output}, lambda: None)
    return Outcome({**content, "output": None}, lambda: write(predictions))


def _writer(arguments):
    """Returns a function of predictions that gives the text of a file, or shows them."""
    if arguments.output is None:
        if arguments.format == "csv":
            return lambda predictions: print(_csv(predictions), end="")
        return lambda predictions: print_table(_table(predictions))
    ending = os.path.splitext(arguments.output)[1]
    if ending not in (".csv", ".json"):
        raise ValueError(f"--output must end in .csv or .json. Received: {arguments.output!r}.")
    if arguments.format == "table" or (arguments.format == "csv" and ending == ".json"):
        raise ValueError(f"--format {arguments.format} does not go with --output {arguments.output!r}: leave it out.")
    return _csv if ending == ".csv" else _json


def _check_output(path):
    if path is None:
        return
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"--output must be a file, but {path!r} is a folder.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"--output can't be written: {folder!r} is no folder or not writable.")


def _table(predictions):
    from rich.table import Table
    from rich.text import Text

    if _are_numbers(predictions):
        table = Table("file", *_names_of_numbers(predictions), box=None, pad_edge=False)
        for row in predictions:
            table.add_row(*(Text(cell, overflow="fold") for cell in (row.file, *map(_short, row.values))))
        return table
    table = Table("file", "label", box=None, pad_edge=False)
    table.add_column("score", justify="right")
    more = max(len(row.top) for row in predictions) > 1
    if more:
        table.add_column("then")
    for row in predictions:
        cells = [row.file, row.label, f"{row.score:.3f}"]
        cells += [", ".join(f"{label} {score:.3f}" for label, score in row.top[1:])] if more else []
        # As text, so that brackets in a file's name are not taken for markup.
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    return table


def _are_numbers(predictions):
    return hasattr(predictions[0], "values")


def _names_of_numbers(predictions):
    num = len(predictions[0].values)
    return ["prediction"] if num == 1 else [f"prediction_{place}" for place in range(1, num + 1)]


def _short(value):
    return f"{value:.6g}"


def _csv(predictions):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if _are_numbers(predictions):
        writer.writerow(["file", *_names_of_numbers(predictions)])
        writer.writerows([row.file, *map(_short, row.values)] for row in predictions)
        return buffer.getvalue()
    num_top = max(len(row.top) for row in predictions)
    header = [name for place in range(2, num_top + 1) for name in (f"label_{place}", f"score_{place}")]
    writer.writerow(["file", "label", "score", *header])
    for row in predictions:
        more = [cell for label, score in row.top[1:] for cell in (label, _short(score))]
        writer.writerow([row.file, row.label, _short(row.score), *more])
    return buffer.getvalue()


def _json(predictions):
    return json.dumps({"predictions": _rows(predictions)}, indent=2, ensure_ascii=False) + "\n"


def _rows(predictions):
    if _are_numbers(predictions):
        return [{"file": row.file, "values": list(row.values)} for row in predictions]
    return [
        {
            "file": row.file,
            "label": row.label,
            "score": row.score,
            "top": [{"label": label, "score": score} for label, score in row.top],
        }
        for row in predictions
    ]
