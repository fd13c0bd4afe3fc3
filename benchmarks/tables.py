"""Renders the tables of docs/*.md from the JSON lines in benchmarks/results/."""

import re
import sys
from pathlib import Path

from common import RESULTS, Results
from rendered import (
    adaptation,
    choosing,
    federated,
    few_shot,
    fine_tuning,
    other_inputs,
    running,
    self_supervised,
    semi_supervised,
)

DOCUMENTS = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))

TABLES = {
    table.__name__: table
    for table in (
        fine_tuning.demo,
        fine_tuning.transfer,
        fine_tuning.features_cache,
        running.export,
        running.imports,
        adaptation.digits_adaptation,
        adaptation.digits_shifts,
        adaptation.adaptation_cost,
        adaptation.where_adaptation_hurts,
        fine_tuning.distillation_cost,
        fine_tuning.mnist_distillation,
        fine_tuning.flowers_distillation,
        running.serving,
        adaptation.weighting,
        adaptation.heart_disease,
        adaptation.speakers,
        other_inputs.audio,
        other_inputs.fusion,
        adaptation.wine_quality,
        adaptation.amazon_text,
        other_inputs.table_transfer,
        other_inputs.text_transfer,
        other_inputs.pipelines,
        other_inputs.many_tasks,
        fine_tuning.few_labels,
        choosing.transferability,
        choosing.source_heads,
        choosing.auto,
        choosing.calibration,
        few_shot.sinusoid,
        few_shot.omniglot,
        few_shot.few_shot_speed,
        self_supervised.flowers_self_supervised,
        federated.federated_mnist,
        semi_supervised.mnist_semi_supervised,
        semi_supervised.mnist_batch_statistics,
        fine_tuning.tuning,
        running.distribution,
        running.scaling,
        adaptation.criteria,
        running.resume,
        running.soak,
        running.mutated_images,
    )
}


def setting(rows):
    last = rows[-1]
    packages = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    return f"Measured {last.get('when', '')} on {last['cores']} cores with {packages}."


def render(text):
    """Returns the document with every `<!-- table NAME -->` block filled from its results."""

    def fill(found):
        name = found.group(1)
        rows = Results(name).rows()
        body = f"{TABLES[name](rows)}\n\n{setting(rows)}" if rows else "Not measured yet."
        return f"<!-- table {name} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main():
    stale = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        rendered = render(text)
        if rendered != text:
            stale.append(document.name)
            if "--check" not in sys.argv:
                document.write_text(rendered, encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(f"{stale} are not what {RESULTS.name}/ says: run `make docs`." if stale else 0)
    print(f"rendered {len(TABLES)} tables into {[document.name for document in DOCUMENTS]}")


if __name__ == "__main__":
    main()
