"""The flags of a command that fills a configuration: a file, and one for each of its fields and its builder's."""

import argparse
import dataclasses

from tf_transfer.workflow.run_config import read_fields


def add_flags(parser, config_class, groups, *, whole=True):
    """Adds --config and a flag for each field to an `argparse` parser; what is not given stays away.

    Args:
        parser: `argparse.ArgumentParser`.
        config_class: `TrainConfig` or another `RunConfig`, or a sequence of several, whose flags stand side by side.
        groups: Dict of titles to what the group is about and {field: (what to write, what it means)}. A field that is
            missing here has its flag all the same, without a description.
        whole: Boolean. False adds the flags of `groups` alone, for a command that finds out the rest. Defaults to True.
    """
    if whole:
        parser.add_argument("--config", metavar="FILE", help="YAML file with any of the names below")
    fields, builders = {}, {}
    for each in config_class if isinstance(config_class, list | tuple) else [config_class]:
        fields = {**each.fields(), **fields}
        builders = {**dict.fromkeys(each.fields(), each.builder_class.__name__), **builders}
    for title, (description, flags) in groups.items():
        group = parser.add_argument_group(title, description)
        for name, (metavar, text) in flags.items():
            field = fields.pop(name)
            _add_flag(group, field, metavar, text + _default(field, text))
    for field in fields.values() if whole else ():
        _add_flag(parser, field, "VALUE", f"as in tft.{builders[field.name]}{_default(field, '')}")


def flag(name):
    """Returns the flag of a field, such as "--image-size" for "image_size"."""
    # One option at a time: "--backbone-option alpha=0.35".
    name = name.removesuffix("s") if name.endswith("_options") else name
    return "--" + name.replace("_", "-")


def read(arguments, config_class, request):
    """Returns the configuration that the arguments give: the file of --config, in which flags replace what stands.

    Args:
        arguments: What the parser of `add_flags` returned.
        config_class: `TrainConfig` or another `RunConfig`, or a sequence of several, of which the one is meant whose
            first required name is given.
        request: String, asks for what is required, such as "say where the images are: --images DIR".
    """
    file = getattr(arguments, "config", None)
    in_file = {} if file is None else read_fields(file)
    request += " (or --config FILE)" if hasattr(arguments, "config") else ""
    if isinstance(config_class, list | tuple):
        config_class = _meant(arguments, config_class, in_file, request)
    flags = {name: value for name, value in vars(arguments).items() if name in config_class.fields()}
    if file is not None:
        return config_class.from_dict(in_file, **flags)
    if not config_class.required.keys() <= flags.keys():
        arguments.usage_error(request)
    return config_class.from_dict(flags)


def _meant(arguments, classes, in_file, request):
    """Returns the one of several configurations whose first required name is given, by a flag or in the file."""
    given = {name for each in classes for name in vars(arguments) if name in each.fields()}
    about = {next(iter(each.required)): each for each in classes}
    meant = [name for name in about if name in given] or [name for name in about if name in in_file]
    if len(meant) != 1:
        received = f". Received: {' and '.join(map(flag, meant))}" if meant else ""
        arguments.usage_error(f"{request}{received}")
    chosen = about[meant[0]]
    others = sorted(flag(name) for name in given - chosen.fields().keys())
    if others:
        arguments.usage_error(f"{flag(meant[0])} does not go with {', '.join(others)}")
    return chosen


def _add_flag(group, field, metavar, text):
    options = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
    if field.type is bool:
        group.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, **options)
    elif field.type is dict:
        group.add_argument(flag(field.name), action=_Join, metavar=metavar, **options)
    else:
        group.add_argument(flag(field.name), metavar=metavar, **options)


def _default(field, text):
    if "(default" in text or field.default is dataclasses.MISSING or field.type is bool:
        return ""
    written = "none" if field.default is None else str(field.default).lower()
    return f" (default: {written})"


class _Join(argparse.Action):
    """Collects a flag that is given several times into one text "a=1,b=2"."""

    def __call__(self, parser, namespace, values, option_string=None):
        before = getattr(namespace, self.dest, "")
        setattr(namespace, self.dest, f"{before},{values}" if before else values)
