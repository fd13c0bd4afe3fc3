"""`tf-transfer recommend`: which method and settings for a folder of images, and why."""

from tf_transfer.cli.auto import add_backbones, options_of
from tf_transfer.cli.outcome import Outcome
from tf_transfer.cli.shared_flags import add_shared

NAME = "recommend"
SUMMARY = "say which method and settings suit a folder of images, and why"
DESCRIPTION = """\
Looks at a folder of labelled images, or at a labelled source and a target, and says which method suits them and why,
from which backbone, and about how long it takes. Nothing is trained."""
EXAMPLES = """\
examples:
  tf-transfer recommend --images photos --minutes 10 --write run.yaml && tf-transfer train --config run.yaml
  tf-transfer recommend --images photos --backbone mobilenet_v2 --backbone resnet50_v2 --max-parameters 5000000
  tf-transfer recommend --images street --source catalogue --write run.yaml && tf-transfer adapt --config run.yaml

The next step: run what is recommended, or let tf-transfer auto try what is likely."""
WHEN_STOPPED = "Stopped: nothing was written."


def add_arguments(parser):
    add_shared(parser, "images", required=True)
    add_shared(parser, "source", more=", labelled; --images may have no labels then")
    parser.add_argument("--minutes", type=float, metavar="N", help="time of the training (default: any)")
    add_backbones(parser)
    parser.add_argument(
        "--proportions", metavar="HOW", help="alike or different: are classes equally frequent in both (default: guess)"
    )
    parser.add_argument("--write", metavar="FILE", help="write the configuration here, as YAML, for --config")


def run(arguments):
    from tf_transfer.choosing import recommend
    from tf_transfer.workflow.output_folder import check_file

    options = options_of(arguments)
    if arguments.minutes is not None:
        options["budget"]["minutes"] = arguments.minutes
    if arguments.write is not None:
        check_file(arguments.write, "write")
    found = recommend(arguments.images, arguments.source, proportions=arguments.proportions, verbose=0, **options)
    if arguments.write is not None:
        if found.config is None:
            raise ValueError(f"{found.title} is done in Python, and no configuration can hold it: leave out --write.")
        found.config.to_yaml(arguments.write)
    return Outcome({**found.to_dict(), "wrote": arguments.write}, lambda: print(found))
