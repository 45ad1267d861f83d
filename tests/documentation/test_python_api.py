from __future__ import annotations

import ast
import builtins
import enum
import inspect
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest

import atcaprov

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "python-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
Stub = ast.ClassDef | ast.FunctionDef
STUBS: dict[str, Stub] = {
    node.name: node
    for block in BLOCKS
    for node in ast.parse(block).body
    if isinstance(node, ast.ClassDef | ast.FunctionDef)
}
CLASSES = {name: stub for name, stub in STUBS.items() if isinstance(stub, ast.ClassDef)}
HEAVY = ("cryptography", "cryptoauthlib", "cbor2", "click", "serial", "hid", "ctypes", "json", "typing", "asyncio")


def test_page_and_code_name_the_same() -> None:
    assert sorted(STUBS) == sorted(atcaprov.__all__)


def test_names_are_listed_once_for_checkers_and_for_loading() -> None:
    tree = ast.parse(Path(atcaprov.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    for_checkers = {
        (alias.asname or alias.name): node.module for node in imports for alias in node.names if node.module != "typing"
    }
    assert for_checkers == atcaprov._HOMES
    assert list(atcaprov.__all__) == sorted(atcaprov.__all__)


def test_every_name_can_be_imported_and_listed() -> None:
    for name in atcaprov.__all__:
        assert getattr(atcaprov, name) is not None
        assert name in dir(atcaprov)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Provisionner'"):
        getattr(atcaprov, "Provisionner")  # noqa: B009 - checkers know that it is not there


def test_import_loads_nothing_heavy() -> None:
    """What `import atcaprov` loads, in a fresh interpreter: itself, and nothing of the packages below it."""
    code = "import sys; import atcaprov; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(run.stdout.split())
    assert [name for name in loaded if name.startswith("atcaprov.")] == []
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.slow
def test_nothing_inside_imports_the_front_door() -> None:
    inside = [
        path
        for package in ("atcaprov", "provisioning_server", "provisioning_client", "signer_module")
        for path in (ROOT / package).rglob("*.py")
    ]
    assert len(inside) > 100
    assert [path for path in inside if uses_front_door(ast.parse(path.read_text(encoding="utf-8")))] == []


def uses_front_door(tree: ast.Module) -> bool:
    public = {*atcaprov.__all__, "__version__"}
    nodes = list(ast.walk(tree))
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    from_root = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "atcaprov"]
    return "atcaprov" in whole or any(alias.name in public for node in from_root for alias in node.names)


def functions() -> list[tuple[str, ast.FunctionDef]]:
    found = [(name, stub) for name, stub in STUBS.items() if isinstance(stub, ast.FunctionDef)]
    for name, stub in CLASSES.items():
        found += [(f"{name}.{node.name}", node) for node in stub.body if isinstance(node, ast.FunctionDef)]
    return found


@pytest.mark.parametrize(("name", "stub"), functions(), ids=lambda value: value if isinstance(value, str) else "")
def test_signature_is_that_of_the_code(name: str, stub: ast.FunctionDef) -> None:
    owner, _, method = name.rpartition(".")
    holder = getattr(atcaprov, owner) if owner else atcaprov
    function = inspect.getattr_static(holder, method) if owner else getattr(holder, method)
    real = inspect.signature(function.__func__ if isinstance(function, classmethod) else function)
    stated = stated_parameters(stub)
    actual = {
        parameter.name: (parameter.kind, plain(parameter.annotation, owner), parameter.default is not parameter.empty)
        for parameter in real.parameters.values()
    }
    for parameter, form in stated.items():
        assert actual[parameter] == form, f"{name}, parameter {parameter}"
    hidden = [parameter for parameter in actual if parameter not in stated]
    assert all(actual[parameter][2] for parameter in hidden), f"{name} needs {hidden}"
    positional = [n for n, form in actual.items() if form[0] is not inspect.Parameter.KEYWORD_ONLY]
    shown = [n for n, form in stated.items() if form[0] is not inspect.Parameter.KEYWORD_ONLY]
    assert positional[: len(shown)] == shown
    assert stub.returns is not None
    assert plain(real.return_annotation, owner) == ast.unparse(stub.returns)


def stated_parameters(stub: ast.FunctionDef) -> dict[str, tuple[object, str, bool]]:
    arguments, kinds = stub.args, inspect.Parameter
    found: dict[str, tuple[object, str, bool]] = {}
    first_default = len(arguments.args) - len(arguments.defaults)
    for index, argument in enumerate(arguments.args):
        found[argument.arg] = (kinds.POSITIONAL_OR_KEYWORD, text_of(argument.annotation), index >= first_default)
    if arguments.vararg is not None:
        found[arguments.vararg.arg] = (kinds.VAR_POSITIONAL, text_of(arguments.vararg.annotation), False)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[argument.arg] = (kinds.KEYWORD_ONLY, text_of(argument.annotation), default is not None)
    return found


def text_of(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)


def plain(annotation: object, owner: str) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    text = "None" if annotation is None else annotation if isinstance(annotation, str) else annotation.__name__  # type: ignore[attr-defined]
    text = {"Self": owner, "Chip": "SoftwareChip"}.get(text, text)
    return ast.unparse(ast.parse(text, mode="eval").body)


def attributes() -> list[tuple[str, str, str]]:
    return [
        (name, node.target.id, ast.unparse(node.annotation))
        for name, stub in CLASSES.items()
        for node in stub.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


@pytest.mark.parametrize(("owner", "name", "annotation"), attributes())
def test_attribute_has_the_type_of_the_code(owner: str, name: str, annotation: str) -> None:
    assert declared(getattr(atcaprov, owner), name) == annotation


def declared(owner: type, name: str) -> str:
    for base in owner.__mro__:
        held = vars(base).get(name)
        getter = held.fget if isinstance(held, property) else held.func if isinstance(held, cached_property) else None
        if getter is not None:
            return str(plain(inspect.signature(getter).return_annotation, owner.__name__))
        if name in vars(base).get("__annotations__", {}):
            text = str(base.__annotations__[name])
            return plain(re.sub(r"^ClassVar\[(.*)\]$", r"\1", text), owner.__name__)
        found = set_in_constructor(base, name) if base.__module__.startswith("atcaprov") else ""
        if found:
            return plain(found, owner.__name__)
    return ""


def set_in_constructor(owner: type, name: str) -> str:
    """Return the annotation of `self.name`, or of the parameter that is assigned to it."""
    constructor = vars(owner).get("__init__")
    if constructor is None or not hasattr(constructor, "__code__") or constructor.__code__.co_filename == "<string>":
        return ""
    source = inspect.cleandoc("\n" + inspect.getsource(constructor))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == f"self.{name}":
            return ast.unparse(node.annotation)
        if isinstance(node, ast.Assign) and ast.unparse(node) == f"self.{name} = {name}":
            return str(inspect.signature(constructor).parameters[name].annotation)
    return ""


@pytest.mark.parametrize("name", CLASSES)
def test_bases_are_those_of_the_code(name: str) -> None:
    stated = [ast.unparse(base).rpartition(".")[2] for base in CLASSES[name].bases]
    real = getattr(atcaprov, name)
    assert all(base in {each.__name__ for each in real.__mro__} for base in stated)
    if issubclass(real, Exception):
        assert [each.__name__ for each in real.__bases__] == stated


@pytest.mark.parametrize("name", [n for n in CLASSES if issubclass(getattr(atcaprov, n), enum.Enum)])
def test_members_have_the_values_of_the_code(name: str) -> None:
    real = getattr(atcaprov, name)
    for node in CLASSES[name].body:
        if isinstance(node, ast.Assign):
            assert isinstance(node.targets[0], ast.Name)
            assert real[node.targets[0].id].value == ast.literal_eval(node.value)


def test_types_in_signatures_are_known() -> None:
    """A word of an annotation is public, a builtin, or explained on the page."""
    elsewhere = {
        "Path",
        "AbstractContextManager",
        "Iterable",
        "Collection",
        "Callable",
        "datetime",
        "x509",
        "Certificate",
    }
    explained = {"ZoneFile", "Level", "OpenHal", "Rule", "Trace"}
    words = {
        word
        for _, stub in functions()
        for form in (*(form[1] for form in stated_parameters(stub).values()), text_of(stub.returns))
        for word in re.findall(r"[A-Za-z_]\w*", form)
    } | {word for *_, annotation in attributes() for word in re.findall(r"[A-Za-z_]\w*", annotation)}
    assert {w for w in words if not hasattr(builtins, w)} <= {*atcaprov.__all__, *elsewhere, *explained}
    assert all(f"`{word}`" in PAGE for word in explained)
