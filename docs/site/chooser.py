"""The page "Which method?": what there is, and the method for it.

    python docs/site/chooser.py            # writes docs/which_method.md anew; `make docs` does so
    python docs/site/chooser.py --check    # says whether it is as it would be written

What labels and domains decide is asked of the rules behind `tft.recommend`, so that both say the same. What
`tft.recommend` does not look at, such as unlabelled examples or several clients, stands in other_answers.py.
"""

import itertools
import sys
import types
from pathlib import Path

from other_answers import DOMAINS, OTHERS, Answer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "which_method.md"
INTRODUCTION = """# Which method?

For data at hand, `tft.recommend(data)` answers with the reasons, a builder and the lines of code, and `tft.auto(data)`
tries what is likely and compares. This page asks the same questions without data. Where the labels of a class are
counted, or two domains compared, it says what `tft.recommend` says.
"""


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
    from tf_transfer.choosing import rules
    from tf_transfer.choosing.snippets import two_stage_code

    same = types.SimpleNamespace(num_classes=5)
    yield Answer(
        "labelled examples of a related task",
        f"and at most {rules.SOME} labels a class of your own",
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
CHAPTERS = {
    "prototypes": "few_shot.md",
    "feature_extraction": "choosing.md",
    "l2_sp": "regularized_fine_tuning.md",
    "fine_tuning": "tuning.md",
}
MEASURE = """gap = tft.analysis.domain_gap(source_features, target_features)
print(gap.verdict)"""


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
