"""`wakedeck doctor` on machines made up for it: real files, real tools, one of them hung."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from services.config.settings import Flags, load, read_file
from services.doctor.detectors import in_thread, probe_tool
from services.doctor.examine import examine, suggested_config
from services.doctor.findings import ConfigBlock, Finding
from services.errors import DeadlineError
from services.sources.registry import open_sources
from tests.support.clock import FakeClock

ROOT = Path(__file__).resolve().parents[3]
SECRET = "sEcReT-4f9a1c77"
KUBECONFIG = {
    "current-context": "prod",
    "contexts": [
        {"name": "prod", "context": {"cluster": "c", "user": "u"}},
        {"name": "lab", "context": {"cluster": "c", "user": "u"}},
    ],
    "clusters": [{"name": "c", "cluster": {"server": "https://example.invalid:6443"}}],
    "users": [{"name": "u", "user": {"token": SECRET}}],
}


def put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


@pytest.fixture
def furnished(home: Path) -> Path:
    """A home with something of everything."""
    (home / "nanoclaw/data/v2-sessions").mkdir(parents=True)
    (home / "src/nanoclaw/data/v2-sessions").mkdir(parents=True)
    put(home / ".kube/config", json.dumps(KUBECONFIG))
    put(home / ".centml/credentials.json", json.dumps({"access_token": SECRET}))
    put(
        home / ".config/argocd/config",
        f"servers:\n- server: argo.example.invalid:8443\nusers:\n- auth-token: {SECRET}\n",
    )
    assistants = {"assistants": [{"assistantId": "ada", "guardianToken": SECRET}]}
    put(home / ".config/vellum-dev/lockfile.json", json.dumps(assistants))
    put(home / ".openclaw/openclaw.json", json.dumps({"gateway": {"auth": {"token": SECRET}}}))
    put(home / "bin/openshell", "#!/bin/sh\necho openshell 0.0.112\n", 0o755)
    put(
        home / ".config/openshell/gateways/lab/metadata.json",
        json.dumps({"gateway_endpoint": f"https://u:{SECRET}@127.0.0.1:8080"}),
    )
    put(home / "bin/docker", "#!/bin/sh\nsleep 300 &\nsleep 300\n", 0o755)
    return home


def wakedeck(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tui.cli.main import main; main()", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            **variables,
        },
    )


def children_of(marker: Path) -> list[str]:
    """Processes that still run something below that folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        if str(marker).encode() in words:
            found.append(words.decode("utf-8", "replace"))
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_what_is_installed_is_found_though_a_tool_hangs(furnished: Path) -> None:
    done = wakedeck(furnished, "doctor")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "a checkout in ~/nanoclaw" in said
    assert "a checkout in ~/src/nanoclaw" in said
    assert "docker: " in said and "gave no answer within 3 s" in said
    assert "✓ openshell" in said and "openshell 0.0.112" in said
    assert "context prod of 2" in said
    assert "a sign-in in ~/.centml/credentials.json" in said
    assert "server argo.example.invalid:8443" in said
    assert "environment dev: 1 assistant(s)" in said
    assert "wakedeck.log" in said
    assert SECRET not in said + done.stderr
    assert not children_of(furnished / "bin")


def test_its_json_is_versioned_and_holds_no_secret(furnished: Path) -> None:
    put(furnished / "bin/docker", "#!/bin/sh\necho 27.3\n", 0o755)
    done = wakedeck(furnished, "doctor", "--json", ARGOCD_AUTH_TOKEN=SECRET)
    report = json.loads(done.stdout)
    assert report["schema"] == 1
    assert report["files"]["log"].endswith("wakedeck.log")
    kinds = {one["kind"]: one for one in report["systems"]}
    assert set(kinds) == {
        *("nanoclaw", "openshell", "vellum", "openclaw", "kubernetes", "centml", "argocd")
    }
    assert all(one["found"] for one in kinds.values())
    assert SECRET not in done.stdout + done.stderr


def test_its_block_loads_and_opens_every_source(furnished: Path) -> None:
    put(furnished / "bin/docker", "#!/bin/sh\necho 27.3\n", 0o755)
    block = wakedeck(furnished, "doctor", "--toml").stdout
    path = furnished / "pasted.toml"
    put(path, block)
    settings = load(Flags(config=path), {})
    assert [(one.key, one.kind) for one in settings.sources] == [
        ("nanoclaw", "nanoclaw"),
        ("nanoclaw-2", "nanoclaw"),
        ("openshell", "openshell"),
        ("vellum", "vellum"),
        ("openclaw", "openclaw"),
        ("kubernetes", "kubernetes"),
        ("centml", "centml"),
        ("argocd", "argocd"),
    ]
    assert len(open_sources(settings, FakeClock(0.0))) == 8
    # What is configured now is not proposed again.
    assert wakedeck(furnished, "--config", str(path), "doctor", "--toml").stdout == ""


def test_an_empty_machine_is_told_so_with_what_each_system_needs(home: Path) -> None:
    done = wakedeck(home, "doctor", PATH="/nonexistent")
    assert done.returncode == 0
    for system in ("NanoClaw", "OpenShell, NemoClaw", "Vellum", "Kubernetes", "CentML", "Argo CD"):
        assert f"∅ {system}: not found. Needs " in done.stdout
    assert "config init" in done.stdout
    assert not (home / ".local").exists()
    assert not (home / ".config").exists()


def test_a_broken_configuration_is_told_and_the_rest_still_looked_at(home: Path) -> None:
    put(home / ".config/wakedeck/config.toml", "reed_only = true\n")
    done = wakedeck(home, "doctor", PATH="/nonexistent")
    assert done.returncode == 2
    assert "line 1: unknown key 'reed_only'; did you mean 'read_only'?" in done.stdout
    assert "NanoClaw" in done.stdout
    assert json.loads(wakedeck(home, "doctor", "--json").stdout)["config_problem"]


async def test_a_missing_extra_is_named_for_each_system_that_has_one(
    furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = {one.kind: one for one in await examine({"PATH": "/nonexistent"})}
    for kind, extra, required in (
        ("kubernetes", "`kubernetes` extra", True),
        ("openshell", "`openshell` extra", False),
    ):
        (need,) = [one for one in found[kind].needs if extra in one.detail]
        assert (need.met, need.required) == (False, required)


async def test_a_disk_that_never_answers_is_not_waited_for() -> None:
    released = threading.Event()
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        await in_thread(lambda: released.wait(60), 0.05)
    assert time.monotonic() - began < 30
    released.set()


async def test_a_look_that_fails_is_a_finding() -> None:
    async def broken(_: Mapping[str, str]) -> Finding:
        raise PermissionError(13, "Permission denied")

    async def slow(_: Mapping[str, str]) -> Finding:
        raise DeadlineError("The disk gave no answer within 3 s.")

    async def short(_: Mapping[str, str]) -> Finding:
        raise RuntimeError("can't start new thread")

    async def surprised(_: Mapping[str, str]) -> Finding:
        raise ZeroDivisionError

    every = (broken, slow, short, surprised)
    found = await examine(
        {}, [(name, name.upper(), one) for name, one in zip("abcd", every, strict=True)]
    )
    assert [one.problem for one in found] == [
        "Permission denied",
        "The disk gave no answer within 3 s.",
        "No thread can be started for C.",
        "Something unforeseen went wrong in D (ZeroDivisionError).",
    ]


async def test_what_a_tool_says_of_itself_is_harmless(home: Path) -> None:
    place = home / "tool"
    put(place, f"#!/bin/sh\nprintf '\\033]52;c;aGk=\\007 1.0 token={SECRET}\\n'\n", 0o755)
    need = await probe_tool("tool", "--version", path=str(place))
    assert need.met
    assert need.detail.isprintable()
    assert SECRET not in need.detail
    put(place, "#!/bin/sh\necho it is broken >&2\nexit 3\n", 0o755)
    need = await probe_tool("tool", "--version", path=str(place))
    assert not need.met
    assert "it is broken" in need.detail


def hostile_blocks() -> Iterator[ConfigBlock]:
    yield ConfigBlock("a b\n[x]", "nanoclaw", {"root": 'x"\n[sources.evil]\nkind="local"\n'})
    yield ConfigBlock("", "nanoclaw", {"root": "\x1b[31m"})


def test_a_block_of_hostile_names_is_still_one_table_each(home: Path) -> None:
    path = home / "pasted.toml"
    finding = Finding("nanoclaw", "NanoClaw", blocks=tuple(hostile_blocks()))
    put(path, suggested_config([finding], []))
    assert set(read_file(path).sources) == {"a-b--x-", "source"}


def test_what_is_configured_is_asked_and_never_called_not_found(home: Path) -> None:
    claw = home / "claw"
    for folder in ("data/v2-sessions", "src", "container", "groups", "logs"):
        (claw / folder).mkdir(parents=True)
    put(claw / "package.json", '{"name": "nanoclaw", "version": "2.0.0"}')
    put(
        home / "c.toml",
        '[sources.claw]\nkind = "nanoclaw"\nroot = "~/claw"\n'
        '[sources.gone]\nkind = "nanoclaw"\nroot = "~/gone"\n',
    )
    done = wakedeck(home, "--config", str(home / "c.toml"), "doctor")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert "NanoClaw: not found" not in done.stdout
    assert any("✕ claw" in line and "host" in line for line in lines)
    assert any("✕ gone" in line and "is not there" in line for line in lines)


def test_keys_that_stop_the_panel_are_all_named_by_doctor_and_status_alike(home: Path) -> None:
    put(home / "c.toml", '[keys]\n"repair.wake" = "s"\n"no.such.key" = "x"\n')
    done = wakedeck(home, "--config", str(home / "c.toml"), "doctor")
    assert done.returncode == 2
    assert "no.such.key" in done.stdout and "'repair.wake'" in done.stdout
    asked = wakedeck(home, "--config", str(home / "c.toml"), "status")
    assert asked.returncode == 2
    assert "no.such.key" in asked.stderr and "'repair.wake'" in asked.stderr


def test_an_embedded_world_that_is_not_running_is_no_fault(home: Path) -> None:
    done = wakedeck(home, "doctor")
    assert done.returncode == 0, done.stdout
    assert "local (the embedded world): nothing runs yet" in done.stdout
