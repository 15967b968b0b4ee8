"""What OpenShell and NemoClaw leave on disk, how a gateway could be started, how a shell ended."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.settings import Flags, load
from services.config.sources import OpenShellTable
from services.errors import ConfigError, UnavailableError
from services.models import Capability, GatewayState, ShellState
from services.sources.openshell import lists, metadata, nemoclaw_registry, start_plan
from services.sources.openshell.cli import environment, locate
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.logs import instant, readable
from services.sources.openshell.nemoclaw_registry import RegistryStatus
from services.sources.openshell.policy import pending
from services.sources.openshell.records import Forward, Target, safe_name
from services.sources.openshell.rows import sandbox, unseen
from services.sources.openshell.shells import ended
from services.sources.registry import open_sources
from services.terminal.transport.base import CloseReason
from tests.support.clock import FakeClock
from tests.support.openshell_recorded import HEALTHY, recorded
from tests.support.openshell_script import register

ROOT = Path(__file__).resolve().parents[4]
LOCAL = "https://127.0.0.1:17670"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, RegistryStatus.ABSENT),
        ("", RegistryStatus.CORRUPT),
        ("{", RegistryStatus.CORRUPT),
        ("[]", RegistryStatus.CORRUPT),
        ('{"sandboxes": []}', RegistryStatus.CORRUPT),
        ('{"sandboxes": {}}', RegistryStatus.EMPTY),
        ('{"sandboxes": {"-x": {}}}', RegistryStatus.ODD),
        ('{"sandboxes": {"a": {}}, "defaultSandbox": "gone"}', RegistryStatus.FILLED),
    ],
)
def test_a_register_is_absent_corrupt_empty_or_filled(
    tmp_path: Path, text: str | None, status: RegistryStatus
) -> None:
    path = tmp_path / "sandboxes.json"
    if text is not None:
        path.write_text(text)
    found = nemoclaw_registry.read(path)
    assert found.status is status
    assert bool(found.problem) is (status in (RegistryStatus.CORRUPT, RegistryStatus.ODD))
    name = found.default.name if found.default else ""
    assert name == ("a" if status is RegistryStatus.FILLED else "")
    assert len({one.value for one in RegistryStatus}) == len(RegistryStatus)


def test_a_register_keeps_what_later_versions_add(home: Path) -> None:
    path = register(home, "a", "b", default="b", gatewayName="nemoclaw-9090", agent="x", odd=[1])
    before = path.read_bytes(), path.stat().st_mtime_ns
    found = nemoclaw_registry.read(path)
    assert found.gateways == ("nemoclaw-9090",)
    assert found.default is not None and found.default.name == "b"
    entry = found.entry("nemoclaw-9090", "a")
    assert entry is not None and entry.port is None and ("model", "m") in entry.facts
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert nemoclaw_registry.read(None).status is RegistryStatus.UNUSED


def roots(home: Path, listed: dict[str, dict[str, dict[str, object]]]) -> Path:
    """NemoClaw's registers: the base and one for each further port."""
    for port, boxes in listed.items():
        place = home / ".nemoclaw" / (f"gateways/{port}" if port else "")
        place.mkdir(parents=True, exist_ok=True)
        named = {name: {"name": name, **one} for name, one in boxes.items()}
        (place / "sandboxes.json").write_text(json.dumps({"sandboxes": named}))
    return home / ".nemoclaw" / "sandboxes.json"


def test_a_reservation_is_no_sandbox_and_never_the_default(home: Path) -> None:
    path = roots(home, {"": {"resv": {"pendingRouteReservation": True}, "a": {}}})
    found = nemoclaw_registry.read(path)
    assert [one.name for one in found.entries] == ["a"]
    assert found.reserved == (("nemoclaw", "resv"),)
    assert found.default is not None and found.default.name == "a"
    path = roots(home, {"": {"resv": {"pendingRouteReservation": True}}})
    assert nemoclaw_registry.read(path).status is RegistryStatus.EMPTY


def test_every_register_is_read_and_a_bad_one_spoils_no_other(home: Path) -> None:
    path = roots(home, {"": {"a": {}}, "9090": {"a": {}, "b": {}}, "8080": {"x": {}}})
    found = nemoclaw_registry.read(path)
    assert [(one.gateway, one.name) for one in found.entries] == [
        ("nemoclaw", "a"),
        ("nemoclaw-9090", "a"),
        ("nemoclaw-9090", "b"),
    ]
    assert found.default == found.entry("nemoclaw", "a")
    (path.parent / "gateways/9090/sandboxes.json").write_text("{")
    for name in ("0", "70000", "x", "123456"):
        (path.parent / "gateways" / name).mkdir()
    (path.parent / "gateways/7000").symlink_to(path.parent)
    found = nemoclaw_registry.read(path)
    assert found.gateways == ("nemoclaw",) and found.status is RegistryStatus.CORRUPT
    assert "port 9090" in found.problem and "port 7000: not read: symbolic link" in found.problem
    path.unlink()
    (path.parent / "gateways/7000").unlink()
    roots(home, {"9090": {"b": {}}})
    assert nemoclaw_registry.read(path).default is not None, "the only other register's"


@pytest.mark.parametrize(
    ("root", "told", "gateway"),
    [
        ("", {}, "nemoclaw"),
        ("9090", {}, "nemoclaw-9090"),
        ("", {"gatewayPort": 8080}, "nemoclaw"),
        ("", {"gatewayPort": 9000}, "nemoclaw-9000"),
        ("", {"gatewayName": "nemoclaw-9000"}, "nemoclaw-9000"),
        ("", {"gatewayName": "nemoclaw-8080"}, ""),
        ("", {"gatewayName": "mine"}, ""),
        ("", {"gatewayName": "nemoclaw", "gatewayPort": 9000}, ""),
        ("", {"gatewayPort": "9000"}, ""),
        ("", {"gatewayPort": 70000}, ""),
        ("9090", {"gatewayPort": 8080}, ""),
    ],
)
def test_an_entry_that_contradicts_itself_is_used_for_nothing(
    home: Path, root: str, told: dict[str, object], gateway: str
) -> None:
    found = nemoclaw_registry.read(roots(home, {root: {"a": told}}))
    assert found.gateways == ((gateway,) if gateway else ())
    assert ("contradicts itself about a" in found.problem) is (not gateway)


@pytest.mark.parametrize(
    ("told", "other", "port"),
    [
        ({"dashboardPort": 18790}, {}, 18790),
        ({"dashboardPort": None}, {"dashboardPort": 1}, None),
        ({"dashboardPort": 0}, {"dashboardPort": 1}, None),
        ({"dashboardPort": True}, {"dashboardPort": 1}, None),
        ({"dashboardPort": "18789"}, {"dashboardPort": 1}, None),
        ({}, {"dashboardPort": 1}, 18789),
        ({"agent": "hermes"}, {"dashboardPort": 1}, 18789),
        ({"agent": "langchain-deepagents-code"}, {"dashboardPort": 1}, None),
        ({}, {"dashboardPort": 18789}, None),
        ({}, {}, None),
        ({"dashboardPort": 18790}, {"dashboardPort": 18790}, None),
    ],
)
def test_a_dashboard_port_is_only_taken_where_it_is_this_ones(
    home: Path, told: dict[str, object], other: dict[str, object], port: int | None
) -> None:
    entry = nemoclaw_registry.read(roots(home, {"": {"a": told}, "9090": {"b": other}})).entry(
        "nemoclaw", "a"
    )
    assert entry is not None and entry.port == port


def test_registrations_are_read_from_the_folder(tmp_path: Path) -> None:
    for name, text in (
        ("good", '{"gateway_endpoint": "http://h:1", "auth_mode": "oidc"}'),
        ("bad", "{"),
        ("-odd", "{}"),
    ):
        place = tmp_path / "gateways" / name
        place.mkdir(parents=True)
        (place / "metadata.json").write_text(text)
        (place / "oidc_token.json").write_text("SECRET")
    (tmp_path / "active_gateway").write_text("good")
    found = {one.name: one for one in metadata.registrations(tmp_path)}
    assert set(found) == {"good", "bad"}
    assert found["good"].active and found["good"].auth == "oidc"
    assert found["bad"].endpoint == ""
    assert "SECRET" not in str(found)
    assert metadata.registrations(tmp_path / "nowhere") == ()
    (tmp_path / "active_gateway").write_text("../../x")
    assert metadata.active(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("default\nalpha\n", Target("g", "alpha")),
        ("blue\nalpha\n", Target("g", "alpha", "blue")),
        ("alpha\n", Target("g", "alpha")),
        ("", None),
        ("a\n-b\n", None),
        ("a\nb\nc\n", None),
    ],
)
def test_the_last_used_sandbox_is_known_while_its_gateway_is_down(
    tmp_path: Path, text: str, target: Target | None
) -> None:
    (tmp_path / "gateways" / "g").mkdir(parents=True)
    (tmp_path / "gateways" / "g" / "last_sandbox").write_text(text)
    assert metadata.last_used(tmp_path, "g") == target
    assert metadata.last_used(tmp_path, "h") is None


def test_a_start_is_only_offered_where_the_service_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("systemctl", "brew"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    b, root = Toolset(), tmp_path / "root"
    bare = start_plan.plan("g", LOCAL, b, {}, root)
    assert not bare.possible and "systemctl --user start openshell-gateway" in bare.advice
    (root / "snap/openshell").mkdir(parents=True)
    assert "sudo snap start" in start_plan.plan("g", LOCAL, b, {}, root).advice
    (root / "usr/local/opt/openshell").mkdir(parents=True)
    assert start_plan.plan("g", LOCAL, b, {}, root).argv[0] == "brew"
    unit = root / "usr/lib/systemd/user/openshell-gateway.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    found = start_plan.plan("g", LOCAL, b, {}, root)
    assert found.argv == ("systemctl", "--user", "start", "openshell-gateway")
    for elsewhere in ("https://gateway.example:17670", "http://127.0.0.1:1", "", "http://[::1"):
        assert not start_plan.plan("g", elsewhere, b, {}, root).possible
    assert start_plan.plan("g", "", b, {"g": ("run", "it")}, root).argv == ("run", "it")
    first = start_plan.plan("g", "", Toolset(generation=Generation.A), {}, root)
    assert first.by_cli and first.argv == ("gateway", "start", "--name", "g")
    assert not any("recreate" in word for word in first.argv)


def test_the_command_is_found_in_the_order_of_nemoclaw(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
        return place

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    own = put(home / ".local/bin/openshell")
    assert locate() == own
    first = put(tmp_path / "bin" / "openshell")
    assert locate() == first
    chosen = put(tmp_path / "else" / "openshell")
    assert locate(str(chosen)) == chosen
    chosen.chmod(0o644)
    assert locate(str(chosen)) is None


def test_the_environment_chooses_no_gateway() -> None:
    given = {"OPENSHELL_GATEWAY": "x", "OPENSHELL_GATEWAY_ENDPOINT": "y", "OPENSHELL_THEME": "z"}
    made = environment({**given, "OPENSHELL_WORKSPACE": "w", "PATH": "/bin"})
    assert made["PATH"] == "/bin" and made["OPENSHELL_THEME"] == "z"
    assert not [name for name in made if name.startswith(("OPENSHELL_GATEWAY", "OPENSHELL_WORK"))]


def test_later_lists_are_wrapped_paged_and_have_reasons() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ImagePull", "message": "no such"}
    text = json.dumps(
        {
            "sandboxes": [
                {"name": "a", "phase": "Error", "exit_code": 3, "conditions": [condition, 7]},
                {"phase": "Ready"},
                {"name": "b", "phase": 42, "labels": {"k": "\x1b[31mv"}, "exit_code": True},
            ],
            "next_page_token": "more",
        }
    )
    (a, b), token, odd = lists.sandboxes(text, as_json=True)
    assert (token, odd) == ("more", 1)
    assert (a.exit_code, a.why) == (3, "ImagePull: no such")
    assert (b.phase, b.exit_code, b.labels) == ("phase 42", None, (("k", "v"),))
    shown = sandbox("os", "g", a, (), (), Toolset(), 1.0)
    assert "exit code 3" in shown.reason and "ImagePull" in shown.reason
    assert ("condition Ready", "False, ImagePull, no such") in shown.evidence


def test_an_instant_is_read_by_either_name() -> None:
    told = "2027-01-15T08:00:00Z"
    pairs = [{"transition_time": told}, {"last_transition_time": told}, {}]
    found = [one.at for one in lists.conditions([{"type": "Ready", **one} for one in pairs])]
    assert found == [1_800_000_000.0, 1_800_000_000.0, None]


@pytest.mark.parametrize("text", ["", "null", "7", '{"a": 1}', "[1]", '["x"]', "{" * 100_000])
def test_what_is_not_a_list_is_named(text: str) -> None:
    with pytest.raises(UnavailableError, match="cannot be understood"):
        lists.sandboxes(text, as_json=True)


def test_an_entry_that_is_not_understood_is_counted() -> None:
    good = {"name": "a", "phase": "Ready"}
    for sick in (None, 7, {}, {"name": ""}, {"name": ["a"], "phase": "Ready"}):
        rows, _, odd = lists.sandboxes(json.dumps([good, sick]), as_json=True)
        assert ([one.name for one in rows], odd) == (["a"], 1)


@pytest.mark.parametrize("sick", [None, 5, {"endpoint": "http://127.0.0.1:1"}])
def test_a_registration_that_is_not_understood_leaves_none_out(sick: object) -> None:
    with pytest.raises(UnavailableError, match="cannot be understood"):
        lists.registrations(json.dumps([{"name": "lab"}, sick]), as_json=True)


# As the real ones print it: each column as wide as its widest cell, ONE space between.
FORWARDS = (
    "SANDBOX   BIND      PORT     PID        STATUS\n"
    "ready-a   127.0.0.1 19000    4000000    \x1b[31mdead\x1b[39m\n"
    "stopped-b 0.0.0.0   19001    29492      \x1b[32mrunning\x1b[39m\n"
)
BOTH = (
    Forward("ready-a", "127.0.0.1", 19000, alive=False),
    Forward("stopped-b", "0.0.0.0", 19001, alive=True),
)


def test_forwards_are_read_from_table_and_json() -> None:
    found, odd = lists.forwards(FORWARDS)
    assert (found, odd) == (BOTH, 0)
    assert [one.place for one in found] == ["19000", "0.0.0.0:19001"]
    assert Forward("a", "::1", 80, alive=False).place == "[::1]:80"
    later = '[{"sandbox": "ready-a", "bind_address": "127.0.0.1", "port": 19000, "alive": false}]'
    assert lists.forwards(later) == (BOTH[:1], 0)
    assert lists.forwards("No active forwards.\n") == ((), 0)


def test_a_column_before_the_name_is_its_workspace() -> None:
    widths = ("WORKSPACE ", "default   ", "blue      ")
    text = "".join(a + b + "\n" for a, b in zip(widths, FORWARDS.splitlines(), strict=True))
    found, _ = lists.forwards(text)
    assert [one.workspace for one in found] == ["default", "blue"]
    assert found[0].of(Target("g", "ready-a")) and not found[1].of(Target("g", "stopped-b"))


@pytest.mark.parametrize(
    "cell", ["0       ", "65536   ", "-1      ", "x       ", "1900²   ", " " * 8]
)
def test_a_line_without_a_port_is_counted_and_names_none(cell: str) -> None:
    found, odd = lists.forwards(FORWARDS.replace("19000   ", cell))
    assert (found, odd) == (BOTH[1:], 1)


@pytest.mark.parametrize(
    "text",
    [
        FORWARDS.replace("ready-a  ", "a-name-that-is-too-long"),
        FORWARDS.replace("dead", "unheard-of"),
        FORWARDS.replace("\x1b[31mdead\x1b[39m", ""),
        FORWARDS.replace("ready-a   127.0.0.1 19000", "A notice of a newer version"),
        json.dumps(
            [
                {"sandbox": "ready-a", "port": 19000, "alive": "no"},
                {"sandbox": "stopped-b", "bind_address": "0.0.0.0", "port": 19001, "alive": True},
            ]
        ),
        json.dumps(
            [
                None,
                {"sandbox": "stopped-b", "bind_address": "0.0.0.0", "port": 19001, "alive": True},
            ]
        ),
    ],
)
def test_one_line_that_is_not_understood_is_counted_and_the_others_stay(text: str) -> None:
    assert lists.forwards(text) == (BOTH[1:], 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no header\n",
        FORWARDS.replace("SANDBOX   BIND", "SANDBOX BIND"),
        FORWARDS.replace("PID", "XYZ"),
    ],
)
def test_a_table_that_does_not_fit_its_header_is_not_known(text: str) -> None:
    with pytest.raises(UnavailableError, match="cannot be understood"):
        lists.forwards(text)


NAMES = st.text("abcxyz019-", min_size=1, max_size=63).filter(lambda name: name[0] != "-")
FORWARD = st.builds(
    Forward,
    NAMES,
    st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "localhost"]),
    st.integers(1, 65535),
    st.booleans(),
    NAMES,
)


@pytest.mark.slow
@given(st.lists(FORWARD, min_size=1, max_size=8), st.sampled_from([" ", "  "]), st.booleans())
def test_what_was_printed_is_what_is_read(rows: list[Forward], gap: str, first: bool) -> None:
    cells = [
        (
            one.workspace,
            one.sandbox,
            one.bind,
            str(one.port),
            "7",
            "running" if one.alive else "dead",
        )
        for one in rows
    ]
    table = [("SPACE", "SANDBOX", "BIND", "PORT", "PID", "STATUS"), *cells]
    table = table if first else [row[1:] for row in table]  # type: ignore[misc]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = "".join(gap.join(map(str.ljust, row, wide)).rstrip() + "\n" for row in table)
    expected = tuple(one if first else replace(one, workspace="") for one in rows)
    assert lists.forwards(text) == (expected, 0)


def test_waiting_rules_are_counted() -> None:
    answer = recorded("0.0.111", HEALTHY, "-g nemoclaw rule get alpha --status pending")
    assert pending(answer.stdout) == "2 waiting: rule-0, rule-1"
    none = recorded("0.0.111", HEALTHY, "-g nemoclaw rule get beta --status pending")
    assert pending(none.stdout) == ""


def test_identities_name_gateway_workspace_and_sandbox() -> None:
    for target in (Target("g", "a"), Target("g", "a", "blue")):
        assert Target.parse(target.native) == target
    assert not safe_name("-a") and not safe_name("a/b") and not safe_name("a b") and safe_name("a")
    for odd in ("", "a", "/", "a/", "/a", "a/b/c/d", "a/-b", "a\n/b", "a/b\n"):
        assert Target.parse(odd) is None


def test_what_is_known_by_name_alone_says_so() -> None:
    down = unseen("os", Target("g", "a"), (), GatewayState.DOWN, "It is down.", 1.0)
    assert down.reason == "Not seen yet: It is down."


@pytest.mark.parametrize(
    ("code", "tail", "attached", "state", "told"),
    [
        (0, "bye", False, ShellState.ENDED, 0),
        (1, "make: *** Error: 1", False, ShellState.ENDED, 1),
        (1, "Error:   × transport error\r\n  ╰─▶ broken pipe\r\n", False, ShellState.LOST, None),
        (1, "$ \x1b[31mError:\x1b[0m   x status: Unavailable\r\n", False, ShellState.LOST, None),
        (255, "", True, ShellState.LOST, None),
        (255, "", False, ShellState.ENDED, 255),
        (137, "Error:   × x", False, ShellState.ENDED, 137),
    ],
)
def test_the_clis_own_end_is_told_from_the_shells(
    code: int, tail: str, attached: bool, state: ShellState, told: int | None
) -> None:
    end = ended(CloseReason(ShellState.ENDED, "exited", code=code), tail, attached=attached)
    assert (end.state, end.code) == (state, told)


def test_log_lines_have_an_instant() -> None:
    line = "[1700000000.5] [gateway] [WARN ] [x] said k=v"
    assert instant(line) == 1_700_000_000.5
    assert readable(line) == "22:13:20.500Z [gateway] [WARN ] [x] said k=v"
    assert instant("no line") is None and readable("no line") == "no line"


def test_it_is_configured_by_a_table_and_touches_nothing_when_opened(tmp_path: Path) -> None:
    file = tmp_path / "wakedeck.toml"
    file.write_text(
        '[sources.lab]\nkind = "openshell"\ngateways = ["nemoclaw"]\n'
        '[sources.lab.start]\nnemoclaw = ["systemctl", "start", "it"]\n'
    )
    settings = load(Flags(config=file), {})
    (one,) = settings.sources
    assert isinstance(one.table, OpenShellTable) and one.table.interval_s == 3.0
    (opened,) = open_sources(settings, FakeClock())
    assert opened.info.kind == "openshell"
    assert Capability.QUEUE not in opened.info.capabilities
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "wakedeck.toml"]
    file.write_text('[sources.lab]\nkind = "openshell"\nlog_level = "loud"\n')
    with pytest.raises(ConfigError):
        load(Flags(config=file), {})


def _closure(module: str, seen: set[str]) -> set[str]:
    if module in seen or not module.startswith("services.sources.openshell"):
        return seen
    seen.add(module)
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.exists():
        return seen
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            _closure(node.module, seen)
            for alias in node.names:
                _closure(f"{node.module}.{alias.name}", seen)
    return seen


def test_what_looks_cannot_reach_what_acts() -> None:
    reached = _closure("services.sources.openshell.observer", set())
    assert "services.sources.openshell.client" in reached
    for acting in ("actor", "commands", "shells", "steps", "source"):
        assert f"services.sources.openshell.{acting}" not in reached


@pytest.mark.parametrize("name", ["NEMOCLAW_SANDBOX_NAME", "NEMOCLAW_SANDBOX", "SANDBOX_NAME"])
def test_the_environment_names_the_default_before_the_register(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = register(home, "a", "b", default="a")
    monkeypatch.setenv(name, "b")
    found = nemoclaw_registry.read(path)
    assert found.default is not None and found.default.name == "b"
    monkeypatch.setenv(name, "nobody")
    assert nemoclaw_registry.read(path).default is None, "never another than the one that was named"


def test_what_an_unreadable_register_may_hold_is_not_assumed(home: Path) -> None:
    path = roots(home, {"": {}, "9090": {"a": {}}})
    base = path.read_text()
    found = nemoclaw_registry.read(path)
    entry = found.entry("nemoclaw-9090", "a")
    assert found.default == entry and entry is not None and entry.port == 18789
    path.write_text("{")
    found = nemoclaw_registry.read(path)
    entry = found.entry("nemoclaw-9090", "a")
    assert entry is not None and entry.port is None, "another may claim its port"
    assert found.default is None, "another may be the default"
    path.write_text(base)
    (path.parent / "gateways/7000").mkdir()
    (path.parent / "gateways/7000/sandboxes.json").write_text("[]")
    assert nemoclaw_registry.read(path).default is None


def test_a_default_that_was_replaced_is_said(home: Path) -> None:
    found = nemoclaw_registry.read(register(home, "a", default="ghost"))
    assert found.replaced == "default ghost is not there; using a"
    assert nemoclaw_registry.read(register(home, "a", default="a")).replaced == ""


def test_the_ports_of_hermes_are_its_own(home: Path) -> None:
    told: dict[str, object] = {
        "agent": "hermes",
        "dashboardPort": 18790,
        "hermesDashboardEnabled": True,
        "hermesDashboardPort": 18800,
    }
    found = nemoclaw_registry.read(roots(home, {"": {"a": told}})).entry("nemoclaw", "a")
    assert found is not None and found.ports == (18790, 8642, 18800)
    assert found.agent_port == 8642
    two = nemoclaw_registry.read(roots(home, {"": {"a": told}, "9090": {"b": told}}))
    assert all(one.ports == () for one in two.entries), "claimed by two: nobody's"


def test_what_nemoclaw_knows_is_told_without_a_secret(home: Path) -> None:
    told: dict[str, object] = {
        "agentVersion": "2026.9",
        "gpuEnabled": True,
        "sandboxGpuProof": {"status": "failed", "at": "2026-01-01T00:00:00Z"},
        "messaging": {"channels": {"telegram": {"botToken": "123:SECRET"}, "slack": None}},
        "dashboardExternalUrl": "https://me:SECRET@box.example.com:8443/ui?token=SECRET#token=SECRET",
        "providers": {"key": "SECRET"},
        "stopped": True,
    }
    path = roots(home, {"": {"a": told}})
    entry = nemoclaw_registry.read(path, 1_767_225_600.0 + 7200).entry("nemoclaw", "a")
    assert entry is not None and entry.stopped
    facts = dict(entry.facts)
    assert "SECRET" not in json.dumps(facts)
    assert facts["GPU"] == "failed, 2 h ago"
    assert facts["channels"] == "telegram (as of the register)"
    assert facts["dashboard"] == "https://box.example.com:8443/ui"
    told["sandboxGpuProof"] = {"status": "brand new"}
    again = nemoclaw_registry.read(roots(home, {"": {"a": told}})).entry("nemoclaw", "a")
    assert again is not None and dict(again.facts)["GPU"] == "unproven"
