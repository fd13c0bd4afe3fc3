"""`tf-transfer recommend`: which method and settings for labelled examples, and why."""

import dataclasses

from tf_transfer.cli.auto_flags import add_examples, add_networks, read_config
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.shared_flags import add_shared

NAME = "recommend"
SUMMARY = "say which method and settings suit some examples, and why"
DESCRIPTION = """\
Looks at labelled images, texts, rows or recordings, or at images of a labelled source and a target, and says which
method suits them and why, from which network, and of images about how long it takes. Nothing is trained."""
EXAMPLES = """\
examples:
  tf-transfer recommend --images photos --minutes 10 --write run.yaml && tf-transfer train --config run.yaml
  tf-transfer recommend --images photos --backbone mobilenet_v2 --backbone resnet50_v2 --max-parameters 5000000
  tf-transfer recommend --images street --source catalogue --write run.yaml && tf-transfer adapt --config run.yaml
  tf-transfer recommend --text reviews.csv --target sentiment --write run.yaml && tf-transfer train --config run.yaml

The next step: run what is recommended, or let tf-transfer auto try what is likely."""
WHEN_STOPPED = "Stopped: nothing was written."
_NOT_OF_TWO = ("class_names", "skip_bad")


def add_arguments(parser):
    add_shared(parser, "source", more=", labelled; --images may have no labels then")
    parser.add_argument("--minutes", type=float, metavar="N", help="time of the training (default: any)")
    parser.add_argument(
        "--proportions", metavar="HOW", help="alike or different: are classes equally frequent in both (default: guess)"
    )
    parser.add_argument("--write", metavar="FILE", help="write the configuration here, as YAML, for --config")
    add_networks(parser)
    add_examples(parser, held_out=False)


def run(arguments):
    from tf_transfer.choosing import recommend
    from tf_transfer.choosing.configs import completed
    from tf_transfer.workflow.output_folder import check_file

    config, options = read_config(arguments)
    shared = {name: value for name, value in config.builder.items() if name != "class_names"}
    options |= {"batch_size": config.batch_size, "seed": config.seed, "proportions": arguments.proportions}
    if arguments.minutes is not None:
        options["budget"]["minutes"] = arguments.minutes
    if arguments.write is not None:
        check_file(arguments.write, "write")
    data = config.whole() if arguments.source is None else _target(arguments, config)
    found = recommend(data, arguments.source, verbose=0, **options, **shared)
    if type(found.config) is type(config):
        found = dataclasses.replace(found, config=completed(config, found.config))
    if arguments.write is not None:
        if found.config is None:
            raise ValueError(f"{found.title} is done in Python, and no configuration can hold it: leave out --write.")
        found.config.to_yaml(arguments.write)
    return Outcome({**found.to_dict(), "wrote": arguments.write}, lambda: print(found))


def _target(arguments, config):
    """Returns the folder of a target, which may have labels or none."""
    if getattr(config, "images", None) is None:
        arguments.usage_error("--source goes with --images: a source and a target are folders of images")
    given = [name for name in _NOT_OF_TWO if getattr(arguments, name, None) not in (None, False)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        arguments.usage_error(f"--source does not go with {flags}")
    return config.images
