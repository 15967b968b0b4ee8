"""The arrows inside the pod sources: what looks cannot reach what acts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.config.settings import read_file
from services.config.sources import ArgoTable, CentmlTable, KubernetesTable
from services.sources.pods.options import ArgoOptions, CentmlOptions, KubernetesOptions

ROOT = Path(__file__).resolve().parents[4]
PODS = "services.sources.pods"
ACTS = (
    "kube_actor",
    "centml_actor",
    "argo_actor",
    "sign_in",
    "centml_sign_in",
    "remote_cleanup",
    "steps",
)


def loaded(module: str) -> set[str]:
    """Every module of ours, and httpx and yaml, that importing one brings along."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("observer", ["kube_observer", "centml_observer", "argo_observer"])
def test_an_observer_cannot_reach_what_acts(observer: str) -> None:
    seen = loaded(f"{PODS}.{observer}")
    assert not seen & {f"{PODS}.{name}" for name in ACTS}
    assert "services.process.run" not in seen


def test_nothing_is_loaded_that_is_not_configured() -> None:
    assert not any(name.startswith(PODS) for name in loaded("services.sources"))
    seen = loaded(f"{PODS}.source")
    assert not seen & {"httpx", "yaml", f"{PODS}.kube_actor", f"{PODS}.centml_observer"}


def test_the_file_names_what_the_sources_take(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[sources.prod]\nkind = "kubernetes"\nresumable = true\n'
        '[sources.ml]\nkind = "centml"\ndeployments = [1, 2]\n'
        '[sources.cd]\nkind = "argocd"\nurl = "https://x"\napplications = ["a"]\n'
    )
    sources = read_file(path).sources
    assert [type(one) for one in sources.values()] == [KubernetesTable, CentmlTable, ArgoTable]
    pairs = (
        (KubernetesTable, KubernetesOptions),
        (CentmlTable, CentmlOptions),
        (ArgoTable, ArgoOptions),
    )
    for table, options in pairs:
        names = set(table.__struct_fields__) - {"label", "interval_s"}
        assert names == set(options.__slots__)
