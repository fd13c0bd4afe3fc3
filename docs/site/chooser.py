"""The page "Which method?": what there is, and the method for it.

    python docs/site/chooser.py            # writes docs/which_method.md anew; `make docs` does so
    python docs/site/chooser.py --check    # says whether it is as it would be written

What labels and domains decide is asked of the rules behind `tft.recommend`, so that both say the same. What
`tft.recommend` does not look at, such as unlabelled examples or several clients, stands here.
"""

import itertools
import sys
import types
import typing
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "which_method.md"
INTRODUCTION = """# Which method?

For data at hand, `tft.recommend(data)` answers with the reasons, a builder and the lines of code, and `tft.auto(data)`
tries what is likely and compares. This page asks the same questions without data. Where the labels of a class are
counted, or two domains compared, it says what `tft.recommend` says.
"""


class Answer(typing.NamedTuple):
    """A line of the page.

    Attributes:
        have: String, what there is.
        detail: String, what else decides.
        method: String, the name of the section on the method.
        text: String, why.
        code: String, lines of Python.
        chapter: String, the file of the chapter to read on in.
    """

    have: str
    detail: str
    method: str
    text: str
    code: str
    chapter: str


def answers():
    """Returns the lines of the page, in the order in which people should ask."""
    return [*for_labels(), *for_related(), *for_target(), *OTHERS]


def for_labels():
    """Returns what the number of labels decides, asked of the rules for every number."""
    from tf_transfer.choosing import rules
    from tf_transfer.choosing.methods import METHODS

    typical, most = (2, 5, 50, 1000), 1000

    def method(num):
        return rules.method_for(labelled(num), False)[0]

    for name, numbers in itertools.groupby(range(1, most + 1), method):
        numbers = list(numbers)
        number = next(each for each in typical if each in numbers)
        detail = f"{numbers[0]} to {numbers[-1]} labels a class"
        if numbers[-1] == most:
            detail = f"more than {numbers[0] - 1} labels a class"
        text = " ".join(rules.method_for(labelled(number), False)[1])
        yield Answer(LABELS, detail, METHODS[name].title, text, code_for_labels(name), CHAPTERS[name])
    title, text = METHODS["from_scratch"].title, " ".join(rules.method_for(labelled(50), True)[1])
    yield Answer(LABELS, "no pretrained network", title, text, code_for_labels("from_scratch"), "tables.md")


def labelled(per_class):
    return types.SimpleNamespace(kind="images", per_class=per_class)


def code_for_labels(name):
    from tf_transfer.choosing.methods import METHODS
    from tf_transfer.choosing.snippets import train_code

    method = METHODS[name]
    fields = [f"{field}={value!r}" for field, value in method.fields.items()]
    start = ['backbone="mobilenet_v2"'] if name != "from_scratch" else ['backbone="mobilenet_v2"', "weights=None"]
    builder = f"builder = tft.ImageClassifier({', '.join(['num_classes=5', *start, *fields])})"
    return f"{builder}\n{train_code(name, method.phases, labelled(50))}"


def for_related():
    from tf_transfer.choosing.snippets import two_stage_code

    same = types.SimpleNamespace(num_classes=5)
    yield Answer(
        "labelled examples of a related task",
        "and a few labels of your own",
        "two stages, the source first",
        "A model that first learns the related task, and goes on from there with a new head, knows more than a few "
        "labels can teach. Compare it with your own labels alone.",
        f'builder = tft.ImageClassifier(num_classes=5, backbone="mobilenet_v2")\n{two_stage_code(same, same)}',
        "regularized_fine_tuning.md",
    )


def for_target():
    """Returns what the classes in two domains decide, asked of the rules; a small gap asks for no adaptation."""
    from tf_transfer.choosing import rules

    asked = {
        "which look alike": (0.0, 0.0),
        "classes equally frequent in both": (2.0, 0.0),
        "classes not equally frequent in both": (2.0, 1.0),
    }
    for detail, (distance, shift) in asked.items():
        gap = types.SimpleNamespace(a_distance=distance, verdict="")
        name, reasons = rules.adaptation_for(gap, shift, True)
        # The first reason tells of a gap that was measured.
        text = " ".join(reasons[1:]).replace("You say that the", "The")
        title = "the source alone" if name == "source_only" else f"adaptation with {name.upper()}"
        code = MEASURE if name == "source_only" else code_for_target(name)
        yield Answer(DOMAINS, detail, title, text, code, "adaptation.md")


def code_for_target(name):
    from tf_transfer.choosing.snippets import adapt_code

    builder = f'builder = tft.adaptation.DomainAdversarialClassifier(num_classes=5, method="{name}")'
    return f"{builder}\n{adapt_code(None)}"


LABELS = "labelled examples"
DOMAINS = "a labelled source, and a target without labels"
CHAPTERS = {
    "prototypes": "few_shot.md",
    "feature_extraction": "choosing.md",
    "l2_sp": "regularized_fine_tuning.md",
    "fine_tuning": "tuning.md",
}
MEASURE = """gap = tft.analysis.domain_gap(source_features, target_features)
print(gap.verdict)"""
OTHERS = [
    Answer(
        DOMAINS,
        "and the source data are gone",
        "SHOT",
        "It goes on from the trained model with the target alone, and was near the best on every shift that was "
        "measured. `tft.TENT` does so where the target comes as a stream, `tft.AdaBN` without any gradient.",
        "model = tft.SHOT(encoder, classifier)\nmodel.compile(keras.optimizers.SGD(1e-3, momentum=0.9))\n"
        "model.fit(x_target, epochs=10)\nplain = model.deployable()",
        "adaptation.md",
    ),
    Answer(
        DOMAINS,
        "and numbers to predict",
        "DARE-GRAM",
        "It aligns what a linear regressor sees. Methods that ask how decided a classifier is have no sense here.",
        "pairs = tft.data.pair_domains((x_source, y_source), x_target, batch_size=48, seed=0)\n"
        'model = tft.DAREGRAM(encoder, regressor)\nmodel.compile("adam", "mse")\nmodel.fit(pairs, epochs=20)',
        "regression.md",
    ),
    Answer(
        DOMAINS,
        "and several sources",
        "all sources together",
        "Begin with all of them as one source. Then ask which of them hurt, or let a method tell them apart.",
        "pairs = tft.data.pair_domains([(x_a, y_a), (x_b, y_b)], x_target, batch_size=64, seed=0)\n"
        'model = tft.DANN(encoder, classifier)\nmodel.compile("adam", "sparse_categorical_crossentropy")\n'
        "model.fit(pairs, epochs=20)",
        "several_sources.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and a network that fits them",
        "FixMatch",
        "Its own confident guesses on weakly changed examples teach it on strongly changed ones.",
        "batches = tft.data.pair_labelled((x_few, y_few), x_many, batch_size=64, ratio=7, "
        'weak="standard", strong="cutout")\nmodel = tft.semi_supervised.FixMatch(builder.build())\n'
        'model.compile("adam", "sparse_categorical_crossentropy")\nmodel.fit(batches, epochs=100)',
        "semi_supervised.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and images unlike those of any network",
        "pretraining on your own images",
        "SimCLR learns features from images alone, in hours; then the few labels train a head.",
        "model = tft.pretraining.SimCLR(encoder, seed=0)\nmodel.compile(keras.optimizers.AdamW(1e-3))\n"
        "model.fit(images, epochs=200)\n"
        "classifier = tft.ImageClassifier(num_classes=5, backbone=model.deployable()).build()",
        "self_supervised.md",
    ),
    Answer(
        "few labels, and many examples without",
        "and texts",
        "pretraining on your own texts",
        "An encoder that guessed missing words of many texts needs fewer labels.",
        "encoder = tft.pretrain_text(many_texts, tft.TextEncoder(seed=0))\n"
        "model = tft.TextClassifier(num_classes=2, backbone=encoder).build()\n"
        "tft.fine_tune(model, (few_texts, labels))",
        "text.md",
    ),
    Answer(
        "new classes again and again",
        "from five images or so each",
        "prototypical networks and MAML",
        "Train on episodes of classes that you know, so that new ones are learned from a few images.",
        "episodes = tft.data.episodes(x, y, ways=5, shots=1, seed=0)\n"
        "model = tft.few_shot.PrototypicalNetwork(pretrained)\nmodel.compile(keras.optimizers.Adam(1e-3))\n"
        "model.fit(episodes, epochs=20)\nclassifier = model.adapt(five_images_a_class, labels)",
        "few_shot.md",
    ),
    Answer(
        "a large model that is too slow",
        "and a smaller one to take its place",
        "distillation",
        "The small network learns what the large one says of each example, which is more than the label.",
        "model = tft.Distiller(student, teacher, [tft.losses.KnowledgeDistillation(temperature=4.0)], weight=0.9)\n"
        'model.compile("adam", "sparse_categorical_crossentropy")\nmodel.fit(train, epochs=20)\n'
        "plain = model.deployable()",
        "distillation.md",
    ),
    Answer(
        "data that may not leave where they are",
        "at several clients",
        "federated averaging",
        "Each client trains on its own, and only weights travel.",
        'server = tft.federated.FedAvg(builder.build(), personal="head")\n'
        "server.fit(clients, rounds=50, clients_per_round=10, seed=0)",
        "federated.md",
    ),
    Answer(
        "several labels of each example",
        "some of which may be missing",
        "several tasks on one network",
        "One backbone, a head a task; missing labels count for nothing.",
        'tasks = {"species": tft.ClassificationTask(num_classes=12), "age": tft.RegressionTask()}\n'
        "model = tft.MultiTask(trunk=tft.builders.ImageBuilder(), tasks=tasks).build()",
        "many_tasks.md",
    ),
    Answer(
        "several kinds of input at once",
        "that belong to one example",
        "fusion",
        "A backbone for each, their features side by side under one head.",
        'model = tft.FeatureFusion(num_classes=5, branches={"image": image_builder, "text": text_builder}).build()',
        "fusion.md",
    ),
    Answer(
        "several kinds of input at once",
        "of which one should find the other",
        "one space for both",
        "Two encoders that are trained on pairs; words find pictures, and descriptions make a classifier.",
        'model = tft.DualEncoder(sides={"image": image_builder, "text": text_builder}).build()\n'
        "model.fit(pairs, epochs=10)",
        "images_and_text.md",
    ),
]


def render():
    """Returns the text of the page."""
    found = answers()
    lines = [INTRODUCTION, "| what you have | and | method |", "| --- | --- | --- |"]
    lines += [f"| {each.have} | {each.detail} | [{each.method}](#{anchor(each.method)}) |" for each in found]
    for each in found:
        chapter = (ROOT / "docs" / each.chapter).read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
        lines += ["", f"## {heading(each.method)}", "", f"With {each.have}, {each.detail}. {each.text}", ""]
        lines += ["```python", each.code, "```", "", f"Read on: [{chapter}]({each.chapter})."]
    return "\n".join(lines) + "\n"


def heading(method):
    return method[0].upper() + method[1:]


def anchor(method):
    return "".join(letter for letter in method.lower().replace(" ", "-") if letter.isalnum() or letter == "-")


def main():
    text = render()
    if "--check" in sys.argv:
        sys.exit(
            0 if PAGE.read_text(encoding="utf-8") == text else f"{PAGE.name} is not what the rules say: `make docs`."
        )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
