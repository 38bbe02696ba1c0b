"""The shape of the product: small modules, short functions, few branches, names that stand for one thing."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean

PROJECT = Path(__file__).parents[2]
APPLIANCE = PROJECT / "appliance"
SOURCES = {path.relative_to(APPLIANCE).as_posix(): path.read_text() for path in APPLIANCE.rglob("*.py")}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}

# What is still to do: these only ever get less.
LONG_MODULES: set[str] = set()
LONG_FUNCTIONS = 0
MEAN_BRANCHES = 2.5
HANGING_DOCSTRINGS = 0
SHARED_CLASS_NAMES = 0

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
    ast.comprehension,
)


def _nodes() -> Iterator[ast.AST]:
    for tree in TREES.values():
        yield from ast.walk(tree)


def _functions() -> dict[str, Function]:
    return {
        f"{name}:{node.lineno} {node.name}": node
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function that are not those of a function or class within it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            yield node
            yield from _own(node)


def _branches(function: Function) -> int:
    nodes = list(_own(function))
    forks = sum(isinstance(node, _BRANCHES) for node in nodes)
    return 1 + forks + sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))


def _public_docstrings() -> Iterator[str]:
    """Those of modules, of public classes and functions, and of the public names that they describe."""
    for node in _nodes():
        if isinstance(node, Function | ast.ClassDef) and node.name.startswith("_"):
            continue
        if isinstance(node, Function | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""
            yield from _attribute_docstrings(node.body)


def _attribute_docstrings(body: list[ast.stmt]) -> Iterator[str]:
    for before, node in pairwise(body):
        match before, node:
            case (
                (
                    ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name))
                    | ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)])
                ),
                ast.Expr(ast.Constant(str(text))),
            ) if not name.startswith("_"):
                yield text


def test_no_module_is_over_400_lines() -> None:
    assert {name for name, text in SOURCES.items() if len(text.splitlines()) > 400} == LONG_MODULES


def test_few_functions_are_over_40_lines() -> None:
    long = [at for at, node in _functions().items() if (node.end_lineno or 0) - node.lineno + 1 > 40]
    assert len(long) <= LONG_FUNCTIONS, long


def test_a_function_has_few_branches_on_average() -> None:
    assert mean(_branches(node) for node in _functions().values()) <= MEAN_BRANCHES


def test_ruff_knows_what_may_be_a_default_of_a_dataclass() -> None:
    assert [name for name, text in SOURCES.items() if "noqa: RUF009" in text] == []


def test_a_public_docstring_can_be_read_without_the_name_above_it() -> None:
    hanging = [text for text in _public_docstrings() if text.startswith(("Of ", "That ", "By ", "To "))]
    assert len(hanging) <= HANGING_DOCSTRINGS, hanging


def test_a_public_class_has_a_name_of_its_own() -> None:
    names = Counter(node.name for node in _nodes() if isinstance(node, ast.ClassDef))
    shared = {name: count for name, count in names.items() if count > 1 and not name.startswith("_")}
    assert len(shared) <= SHARED_CLASS_NAMES, shared


def test_the_journeys_of_the_contributors_guide_lead_through_the_code() -> None:
    guide = (PROJECT / "CONTRIBUTING.md").read_text()
    places = re.findall(r"`([\w/]+\.py):(\w+)`", guide)
    assert len(places) >= 15
    for file, function in places:
        names = {node.name for node in ast.walk(TREES[file]) if isinstance(node, Function)}
        assert function in names, f"{file} has no function {function}"


def test_no_journey_crosses_more_than_six_rooms() -> None:
    guide = (PROJECT / "CONTRIBUTING.md").read_text()
    for journey in re.findall(r"(?:^\d\. .*\n)+", guide, re.M):
        rooms = {"/".join(file.split("/")[:2]) for file in re.findall(r"`([\w/]+)\.py:", journey)}
        assert len(rooms) <= 6, rooms
