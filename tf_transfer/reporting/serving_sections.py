"""The last sections of a report: what the model costs, how to serve it, and what the page was made with."""

import datetime
import os
from importlib import metadata
from pathlib import Path

import keras

from tf_transfer.analysis.model_cost import machine, median_seconds, num_flops
from tf_transfer.backbones import count_trainable
from tf_transfer.reporting.example_kinds import is_images, is_rows, is_texts

_PACKAGES = ("tf-transfer", "tensorflow", "keras")


def cost(page, subject):
    """What it weighs and how long it takes."""
    page.section("What it costs")
    model = subject.model
    one = keras.tree.map_structure(lambda part: part[:1], subject.inputs)
    seconds = median_seconds({"model": model}, {"model": one}, seconds=1.0)["model"]
    count = count_trainable(model).total
    facts = [("Parameters", _short(count).strip(), f"{_short(4 * count)}B as float32")]
    # Looking words up is no arithmetic, and nearly all that a model of texts does.
    flops = None if is_texts(subject.inputs) else num_flops(model)
    if flops:
        facts.append(("Arithmetic", f"{_short(flops)}FLOP", "for one example"))
    facts.append(("Time", f"{1000 * seconds:.3g} ms", f"for one example, on {machine()}"))
    page.facts(facts)


def _short(count):
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k"), (0, " ")):
        if count >= size:
            return f"{count / (size or 1):.3g}{unit}"


def serving(page, subject):
    """How to serve it, and ask it from here."""
    page.section("How to serve it")
    if subject.export_path is None:
        name = subject.model.name
        if subject.run is not None:
            page.text("Export it first. The export holds preprocessing and labels.")
            page.code(f"tf-transfer export {subject.run.model_path} saved_models/{name}")
        else:
            page.text("Export it first: tf-transfer export takes a .keras file, tft.export the model.")
            page.code(f'tft.export(model, "saved_models/{name}")')
        base, name = Path("saved_models") / name, name
    else:
        path = Path(subject.export_path)
        base = path.parent if path.name.isdigit() else path
        name = base.name
        page.text(f"It is exported to {path}, with preprocessing and labels.")
    page.text("Ask it from the command line, or without a server from Python:")
    page.code(f"tf-transfer predict {base} {_example(subject)}")
    page.code(f'import tf_transfer as tft\n\nserved = tft.serving.load("{base.as_posix()}")\n{_question(subject)}')
    page.text("TensorFlow Serving loads the folder as it is:")
    mounted = base.as_posix() if base.is_absolute() else f"$PWD/{base.as_posix()}"
    page.code(
        f"docker run -p 8501:8501 -e MODEL_NAME={name} \\\n"
        f'    -v "{mounted}:/models/{name}" tensorflow/serving\n'
        f"curl http://localhost:8501/v1/models/{name}"
    )


def _example(subject):
    if is_images(subject.inputs):
        return "photo.jpg"
    return "file.csv" if is_texts(subject.inputs) or is_rows(subject.inputs) else "INPUT"


def _question(subject):
    if is_images(subject.inputs):
        return 'served.predict_bytes([open("photo.jpg", "rb").read()])'
    return "served.predict(inputs)"


def made_with(page, subject):
    """When the page was made and with what, and of which data and run it speaks."""
    page.section("What this page was made with")
    record = {} if subject.run is None else subject.run.result
    rows = [["page made", datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")]]
    versions = {name: metadata.version(name) for name in _PACKAGES}
    rows.append(["with", ", ".join(f"{name} {version}" for name, version in versions.items())])
    if subject.run is not None:
        rows.append(["run", os.path.basename(os.path.abspath(subject.run.path))])
    for name, key in (("run ended", "created"), ("seed", "seed"), ("run on", "machine"), ("data", "data_fingerprint")):
        if record.get(key) is not None:
            rows.append([name, str(record[key])])
    if record.get("seconds") is not None:
        rows.append(["run took", f"{record['seconds']:.0f} s"])
    if record.get("versions"):
        rows.append(["run with", ", ".join(f"{name} {version}" for name, version in record["versions"].items())])
    page.pairs(rows)
