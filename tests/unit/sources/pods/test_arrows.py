"""What the pod sources load, and what of them the file can name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.config.settings import read_file
from services.config.sources import ArgoTable, CentmlTable, KubernetesTable

ROOT = Path(__file__).resolve().parents[4]
PODS = "services.sources.pods"
ACTS = (
    "kube_actor",
    "centml_actor",
    "argo_actor",
    "sign_in",
    "centml_sign_in",
    "sign_in_shell",
    "remote_cleanup",
    "writes",
)


def loaded(module: str) -> set[str]:
    """Every module of ours, and httpx and yaml, that importing one brings along."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_nothing_is_loaded_that_is_not_configured() -> None:
    assert not any(name.startswith(PODS) for name in loaded("services.sources.registry"))
    seen = loaded(f"{PODS}.source")
    assert not seen & {"httpx", "yaml", f"{PODS}.kube_actor", f"{PODS}.centml_observer"}


@pytest.mark.parametrize("observer", ["kube_observer", "centml_observer", "argo_observer"])
def test_looking_loads_neither_what_acts_nor_what_starts_programs(observer: str) -> None:
    """What signs in or cleans up is no actor by its shape: the rules of the house pass it by."""
    seen = loaded(f"{PODS}.{observer}")
    acting = {f"{PODS}.{name}" for name in ACTS}
    assert all((ROOT / f"{name.replace('.', '/')}.py").exists() for name in acting)
    assert not seen & {*acting, "services.process.run"}


def test_looking_cannot_write() -> None:
    """What patches a resource is not even loaded with what looks at it."""
    assert f"{PODS}.writes" not in loaded(f"{PODS}.agent_sandbox.observer")
    assert f"{PODS}.writes" in loaded(f"{PODS}.agent_sandbox.actor")


def test_the_file_names_what_the_sources_take(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[sources.prod]\nkind = "kubernetes"\nresumable = true\n'
        '[sources.ml]\nkind = "centml"\ndeployments = [1, 2]\n'
        '[sources.cd]\nkind = "argocd"\nurl = "https://x"\napplications = ["a"]\n'
    )
    sources = read_file(path).sources
    assert [type(one) for one in sources.values()] == [KubernetesTable, CentmlTable, ArgoTable]
