"""The floors of the house, and a reader of imports that says where one of them is crossed.

Imports are read from the syntax tree, so an import inside a function counts like any other.
"""

import ast
from pathlib import Path

PACKAGE = "tf_transfer"

FLOORS = {
    "_checks": 0,
    "_files": 0,
    "_logging": 0,
    "ops": 1,
    "schedules": 1,
    "distribution": 1,
    "layers": 2,
    "losses": 2,
    "training": 2,
    "backbones": 3,
    "data": 3,
    "regularizers": 3.5,
    "parameter_efficient": 3.5,
    "builders": 4,
    "caching": 4,
    "fine_tuning": 5,
    "adaptation": 5,
    "distillation": 5,
    "pretraining": 5,
    "multi_task": 5,
    "contrastive": 5,
    "few_shot": 5,
    "semi_supervised": 5,
    "federated": 5,
    "analysis": 6,
    "tuning": 6,
    "serving": 6,
    "reporting": 6.5,
    "workflow": 7,
    "choosing": 7.5,
    "cli": 8,
    # The face of the package names every room, so it stands above them all: none may look up at it.
    "__init__": 9,
    "__main__": 9,
}

# What a room may take from the face of the package: a fact, not a way around the floors.
FACTS = {"__version__"}


def violations(package, floors=FLOORS):
    """Returns one sentence `file:line ...` for each import that crosses the floors of `package`."""
    package = Path(package)
    found = []
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
        room = where.parts[0].removesuffix(".py")
        if room not in floors:
            found.append(f"{package.name}/{where}:1 is in room {room!r}, which has no floor")
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
        module = [package.name, *where.parent.parts]
        for line, target in _rooms_imported(tree, module, package.name):
            fault = _fault(room, target, floors)
            if fault:
                found.append(f"{package.name}/{where}:{line} {fault}")
    return found


def private_imports(package):
    """Returns one sentence `file:line ...` for each name with an underscore that one file imports from another.

    A module with an underscore belongs to its room, whose files may import it; those beside the rooms belong to all.
    """
    package = Path(package)
    found = []
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
            if isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module, package.name)):
                found += [
                    f"{package.name}/{where}:{node.lineno} imports {alias.name!r}, which belongs to {node.module}"
                    for alias in node.names
                    if _is_private(alias.name) and not _is_module_of_room(package, where, node, alias.name)
                ]
    return found


def _is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in FLOORS


def _is_module_of_room(package, where, node, name):
    folder = package / where.parent if node.level == 1 else package.joinpath(*(node.module or "").split(".")[1:])
    return folder.parts[: len(package.parts) + 1] == (package / where).parts[: len(package.parts) + 1] and (
        (folder / f"{name}.py").is_file()
    )


def _fault(room, target, floors):
    if room == target or (room == "__init__" and target in floors):
        return ""
    if target not in floors:
        return f"imports {target!r} through the face of the package; import it from its room"
    if target == "__init__":
        return f"imports the face of the package; a room ({room!r}) imports rooms below it"
    if room == "__main__":
        return "" if target == "cli" else f"imports {target!r}; `__main__` starts the command line and nothing else"
    if floors[target] == floors[room]:
        return f"imports {target!r} from {room!r}, both on floor {floors[room]}"
    if floors[target] > floors[room]:
        return f"imports {target!r} (floor {floors[target]}) from {room!r} (floor {floors[room]})"
    return ""


def _rooms_imported(tree, module, package):
    """Yields `(line, room)` for every import of the package that stands in `tree`."""
    names = {alias for node in ast.walk(tree) for alias in _names_of_package(node, package)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, _room(alias.name, package)) for alias in node.names if _ours(alias.name, package))
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module[: len(module) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            if source == package:
                yield from ((node.lineno, alias.name) for alias in node.names if alias.name not in FACTS)
            elif _ours(source, package):
                yield node.lineno, _room(source, package)
        elif isinstance(node, ast.Call) and _ours(_literal_import(node, module), package):
            yield node.lineno, _room(_literal_import(node, module), package)
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in names:
            yield from () if node.attr in FACTS else [(node.lineno, node.attr)]


def _names_of_package(node, package):
    """Yields the names that `import tf_transfer`, `... as tft` or `import tf_transfer.x` bind to the package."""
    for alias in node.names if isinstance(node, ast.Import) else []:
        if alias.name == package:
            yield alias.asname or package
        elif alias.asname is None and _ours(alias.name, package):
            yield package


def _literal_import(node, module):
    """Returns the module that `import_module("...")` or `__import__("...")` names, or an empty string."""
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if function not in ("import_module", "__import__") or not node.args:
        return ""
    name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
    if not isinstance(name, str) or not name.startswith("."):
        return name if isinstance(name, str) else ""
    level = len(name) - len(name.lstrip("."))
    return ".".join([*module[: len(module) - level + 1], name.lstrip(".")]).rstrip(".")


def _ours(name, package):
    return name == package or name.startswith(f"{package}.")


def _room(name, package):
    return name.split(".")[1] if name != package else "__init__"
