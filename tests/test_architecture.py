"""The house rules as tests: imports point down, public surface and flags are frozen, the ground has no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clickwise
from verbs import verbs

SOURCE = Path(clickwise.__file__).parent

FLOORS = [  # from the top; rooms on one floor do not import each other
    ["__main__"],
    ["cli"],
    ["estimator", "tuning"],  # they compose what `pipeline` has, as the command line does
    ["pipeline"],
    ["retrieval_summaries"],
    ["summaries", "run_config"],
    ["training", "evaluation", "serving"],
    ["retrieval"],
    ["bundle"],
    ["models"],
    ["data", "calibration"],
    ["features", "layers", "optim", "metrics", "losses"],
    ["registry"],
    ["batch"],
    ["native"],
    ["distinct"],
    ["schema"],
    ["config", "atomic", "sealed", "progress_bar", "read_ahead"],
    ["progress"],
    ["errors", "_version"],
]
FLOOR_OF = {room: len(FLOORS) - level for level, rooms in enumerate(FLOORS) for room in rooms}

PUBLIC = [
    "AutoInt",
    "Bundle",
    "ClickwiseError",
    "ClickwiseWarning",
    "DCN",
    "DCNv2",
    "DIN",
    "DLRM",
    "DNN",
    "DeepFM",
    "EvaluationReport",
    "FFM",
    "FM",
    "FNN",
    "Feature",
    "FiBiNET",
    "FinalMLP",
    "LR",
    "MaskNet",
    "NFM",
    "PNN",
    "Schema",
    "TwoTower",
    "WideDeep",
    "XDeepFM",
    "__version__",
    "build_recommender",
    "evaluate",
    "evaluate_recommender",
    "evaluate_retrieval",
    "export",
    "inspect",
    "load",
    "load_recommender",
    "predict",
    "recommend",
    "simulate",
    "suggest_crosses",
    "train",
    "tune",
    "update_items",
]

NOT_IN_PYTHON = {"demo", "features load", "loadtest", "publish", "rollback", "serve", "skew"}
"""Verbs around a server, and one that only calls others."""
OTHERWISE_IN_PYTHON = {"index": "build_recommender"}

FLAGS = {
    "demo": {"--rows", "--out"},
    "evaluate": {"--seen", "--items", "--model", "--format", "--set", "--json"},
    "export": {"--out", "--format", "--bf16", "--model", "--set", "--json"},
    "features load": {"--entity", "--version", "--entities", "--to", "--format", "--set", "--json"},
    "index": {"--out", "--ranker", "--queries", "--format", "--set", "--json"},
    "inspect": {"--json"},
    "loadtest": {"--requests", "--candidates", "--p99-ms", "--rates", "--seconds", "--svg", "--json"},
    "predict": {"--out", "--model", "--format", "--set", "--json"},
    "publish": {"--share", "--shadow"},
    "recommend": {"--out", "--top", "--seen", "--where", "--explain", "--format", "--set", "--json"},
    "rollback": {"--to"},
    "serve": {"--host", "--port", "--workers", "--recommender", "--entities", "--set"},
    "simulate": {"--rows", "--seed", "--day", "--ads", "--catalogue"},
    "skew": {"--format", "--set", "--json"},
    "suggest-crosses": {"--label", "--top", "--config", "--format", "--set", "--json"},
    "tune": {"--label", "--model", "--trials", "--out", "--valid", "--seed", "--format", "--set", "--json"},
    "update-items": {"--remove", "--format", "--set", "--json"},
    "train": {"--label", "--model", "--out", "--valid", "--config", "--format", "--set", "--json"},
}

NO_TORCH = ["errors", "config", "schema", "registry", "progress", "atomic", "features", "metrics", "data.open", "cli"]
NO_TORCH += ["serving.engine", "serving.version", "serving.live", "serving.app.app", "serving.app.run"]
NO_TORCH += ["serving.loadtest.run", "cli.exported", "serving.features.load", "serving.features.opening"]
NO_TORCH += ["serving.served.skew"]
NO_TORCH += ["sealed", "retrieval.item_index", "retrieval.live"]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")
MODULES = {module_name(p) for p in FILES}


def room_of(module: str) -> str:
    """`clickwise.data.readers.csv` lives in the room `data`."""
    return module.split(".")[1] if "." in module else ""


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Every clickwise module that a file imports, anywhere in it (inside functions too)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write it in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name if name in MODULES else node.module or "") for name in names]
    return [(line, name) for line, name in found if name.startswith("clickwise.")]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down(path: Path) -> None:
    here = room_of(module_name(path))
    assert here in FLOOR_OF, f"{here} has no floor; add it to FLOORS and to docs/architecture.md"
    for line, target in imports_of(path):
        there = room_of(target)
        if there != here:
            assert there in FLOOR_OF, f"{path}:{line} imports {target}, which has no floor"
            assert FLOOR_OF[there] < FLOOR_OF[here], f"{path}:{line}: {here} imports {target}, which is not below it"


def test_files_of_a_room_have_no_cycle() -> None:
    graph = {module_name(p): {t for _, t in imports_of(p)} for p in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done:
            return
        for target in graph.get(module, ()):
            if target != module:
                visit(target, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_public_surface_is_frozen() -> None:
    assert sorted(clickwise.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(clickwise, name) is not None


def test_every_shipped_model_and_verb_is_public() -> None:
    import clickwise.models
    from clickwise.registry import models

    shipped = {kind for name in models if (kind := models.get(name)).__module__.startswith("clickwise.")}
    assert {getattr(clickwise, kind.__name__, None) for kind in shipped} == shipped and len(shipped) > 10
    functions = {OTHERWISE_IN_PYTHON.get(name, name.replace("-", "_")) for name in set(verbs()) - NOT_IN_PYTHON}
    assert functions <= set(clickwise.__all__)


def test_importing_clickwise_is_light() -> None:
    code = "import sys, clickwise; sys.exit(bool({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "import clickwise imports a library"


def test_flags_are_frozen() -> None:
    flags = {
        name: {
            option for p in command.params if p.param_type_name == "option" for option in p.opts if option != "--help"
        }
        for name, command in verbs().items()
    }
    assert flags == FLAGS


@pytest.mark.parametrize("module", NO_TORCH)
def test_imports_without_torch(module: str) -> None:
    code = f"import sys, clickwise.{module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or f"clickwise.{module} imports torch"


def test_no_file_is_two_rooms_in_one() -> None:
    long = {str(p): n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nothing_unsafe(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("pickle", "torch.load(", "torch.save(", "raise NotImplementedError", "TODO", "FIXME"):
        assert word not in text, f"{path} has {word!r}"
    calls = [n.func for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    assert not {c.id for c in calls if isinstance(c, ast.Name)} & {"eval", "exec"}, f"{path} calls eval or exec"


def test_rooms_never_named_after_nothing() -> None:
    names = {p.stem for p in SOURCE.rglob("*")}
    assert not names & {"utils", "common", "helpers", "core", "misc"}
