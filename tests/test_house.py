"""Rules of the house that a linter does not know."""

import ast
import re
from itertools import combinations
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "naslab"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ROOT_FILES = {"__init__.py", "errors.py", "registry.py", "py.typed"}
GLOBAL_RANDOMNESS = re.compile(
    r"\b(?:np|numpy)\.random\.(?:seed|rand|randn|randint|random|choice|shuffle|permutation|normal|uniform)\(|"
    r"(?<![\w.])random\.(?!Generator|getstate)\w+\(|torch\.manual_seed\("
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_global_randomness(source):
    assert not GLOBAL_RANDOMNESS.search(source.read_text())


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_file_is_one_idea(source):
    assert len(source.read_text().splitlines()) <= 400


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_torchvision_is_never_imported(source):
    assert "torchvision" not in source.read_text()


def test_the_root_holds_wings_and_three_files():
    found = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert found == ROOT_FILES
    wings = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert all((wing / "__init__.py").is_file() for wing in wings)


def test_every_wing_says_what_lives_there():
    for init in PACKAGE.glob("*/__init__.py"):
        documented = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert len(documented.splitlines()) >= 3, init


ONLY_POSIX = {"fcntl", "grp", "pwd", "resource", "termios"}


def test_what_windows_lacks_is_imported_where_it_is_used():
    statements = [(source.name, each) for source in SOURCES for each in ast.parse(source.read_text()).body]
    imports = [(name, alias.name) for name, each in statements if isinstance(each, ast.Import) for alias in each.names]
    assert ("store.py", "os") in imports  # the reading of imports works
    assert [each for each in imports if each[1] in ONLY_POSIX] == []


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imported(path):
    """Modules of naslab that a file imports anywhere, in functions and for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def test_no_two_files_import_each_other():
    imports = {name: set(imported(path)) & MODULES.keys() for name, path in MODULES.items()}
    assert "naslab.space" in imports["naslab.tasks.problem"]  # the reading of imports works
    circles = [(a, b) for a, b in combinations(imports, 2) if b in imports[a] and a in imports[b]]
    assert circles == []


def test_no_module_bears_the_name_of_a_public_function():
    """Importing such a submodule would overwrite the function on the package."""
    for init in (path for path in SOURCES if path.name == "__init__.py"):
        tree = ast.parse(init.read_text())
        assigned = [node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"]
        public = set(ast.literal_eval(assigned[0].value)) if assigned else set()
        modules = {path.stem for path in init.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
        assert not public & modules, init
