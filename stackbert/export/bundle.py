"""Copies the code that an exported model needs: one source of truth, no second version by hand.

From the modules of `hub/` all other modules of this package that they import are followed; of each
only the definitions in use are taken, so that training's dependencies stay behind. The copies lie
side by side and import each other relatively, as transformers asks for.
"""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = "stackbert"
HUB = f"{PACKAGE}.export.hub"
ROOTS = tuple(f"{HUB}.{kind}_stackbert" for kind in ("configuration", "modeling", "tokenization"))
FILES = ("README.md", "config.json", "tokenizer_config.json", "dict.txt", "bpe.codes")
WEIGHTS = "model.safetensors"
_ROOT = Path(__file__).parents[2]


def bundle() -> dict[str, str]:
    """Source text of each file of an export, by file name."""
    modules = _collect()
    return {_file(name): _text(module) for name, module in modules.items()}


def sources() -> list[str]:
    """The files that the copies are made of."""
    return [str(_path(name)) for name in _collect()]


def file_names() -> list[str]:
    """Files of an exported folder, the weights last."""
    return [*FILES, *bundle(), WEIGHTS]


class _Module:
    """A module's top-level statements and those among them that are needed."""

    def __init__(self, name: str) -> None:
        self.source = _path(name).read_text(encoding="utf-8")
        self.tree = ast.parse(self.source)
        self.binding = {bound: s for s in self.tree.body for bound in _bound(s)}
        self.used: set[str] = set()

    def need(self, name: str) -> list[tuple[str, str]]:
        """Mark a definition and all it uses; return what other modules must define for it."""
        found, waiting = [], [name]
        while waiting:
            name = waiting.pop()
            if name in self.used or name not in self.binding:
                continue  # known, or a builtin
            self.used.add(name)
            statement = self.binding[name]
            if isinstance(statement, ast.ImportFrom):
                found += self._imported(statement, name)
            else:
                waiting += [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
        return found

    def _imported(self, statement: ast.ImportFrom, name: str) -> list[tuple[str, str]]:
        """(module, name) for each definition of this package behind an imported name."""
        if not _is_ours(statement):
            return []
        original = next(a.name for a in statement.names if (a.asname or a.name) == name)
        if not _is_package(str(statement.module)):
            return [(str(statement.module), original)]
        attributes = {
            n.attr
            for n in ast.walk(self.tree)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == name
        }
        return [(f"{statement.module}.{original}", attribute) for attribute in attributes]


def _collect() -> dict[str, _Module]:
    """The modules of an export, in the order in which they are met, with what they need marked."""
    modules = {name: _Module(name) for name in ROOTS}
    waiting = [(name, bound) for name in ROOTS for bound in modules[name].binding]
    while waiting:
        name, bound = waiting.pop(0)
        if name not in modules:
            modules[name] = _Module(name)
        waiting += modules[name].need(bound)
    files = defaultdict(list)
    for name in modules:
        files[_file(name)].append(name)
    if len(files) < len(modules):
        raise ValueError(f"modules of an export share a file name: {dict(files)}")
    return modules


def _text(module: _Module) -> str:
    """The needed statements with what stands before them, imports made relative."""
    lines = module.source.split("\n")
    parts: list[str] = []
    for statement in module.tree.body:
        bound = _bound(statement)
        if bound and not module.used & set(bound):
            continue
        first = min(
            [statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]
        )
        code = "\n".join(lines[first - 1 : statement.end_lineno])
        if isinstance(statement, ast.Import | ast.ImportFrom):
            code = _import(statement, module.used)
        before = first - 1
        while before and (not lines[before - 1] or lines[before - 1].startswith("#")):
            before -= 1
        gap = [""] if before == first - 1 and len(parts) == 1 else []  # after the docstring
        parts += [*lines[before : first - 1], *gap, code]
    return "\n".join(parts) + "\n"


def _import(statement: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """An import cut down to the names in use; one of this package as a relative one."""
    names = [a for a in statement.names if (a.asname or a.name.split(".")[0]) in used]
    if not (isinstance(statement, ast.ImportFrom) and _is_ours(statement)):
        module = getattr(statement, "module", None)
        line = f"import {_list(names)}"
        return f"from {module} {line}" if module else line
    module = str(statement.module)
    if not _is_package(module):
        return f"from .{module.rpartition('.')[2]} import {_list(names)}"
    # transformers takes only those files along that a line `from .file import ...` names
    take = [f"from .{a.name} import __doc__ as _{a.name}_doc" for a in names]
    return "\n".join([*take, f"from . import {_list(names)}"])


def _list(names: list[ast.alias]) -> str:
    text = ", ".join(ast.unparse(alias) for alias in names)
    return text if len(text) <= 60 else f"(\n    {text.replace(', ', f',{chr(10)}    ')},\n)"


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return []  # the docstring
    raise ValueError(f"line {statement.lineno}: a statement that an export cannot take apart")


def _is_ours(statement: ast.ImportFrom) -> bool:
    return f"{statement.module}.".startswith(f"{PACKAGE}.")


def _path(module: str) -> Path:
    return _ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _is_package(module: str) -> bool:
    return _ROOT.joinpath(*module.split(".")).is_dir()


def _file(module: str) -> str:
    return f"{module.rpartition('.')[2]}.py"
