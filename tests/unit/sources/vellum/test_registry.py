"""The lockfile read salvage-style, in all five environments."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import RefusedError, UnavailableError
from services.sources.vellum import pid_files
from services.sources.vellum.commands import NEEDS_CONFIRMATION, Command, Confirmation, argv
from services.sources.vellum.credential import CredentialState, access_token, instant, judge
from services.sources.vellum.credential import read as read_credential
from services.sources.vellum.layout import ENVIRONMENTS, Site, place
from services.sources.vellum.ownership import Marks, recorded
from services.sources.vellum.pid_files import PidState
from services.sources.vellum.pid_files import read as read_pid
from services.sources.vellum.registry import RegistryReader, elsewhere, parse, safe_id

NOW = 1_700_000_000.0
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                (
                    *("assistants", "assistantId", "name", "cloud", "resources", "gatewayPort"),
                    *("runtimeUrl", "activeAssistant", "x"),
                )
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


def one(**more: object) -> dict[str, object]:
    return {"assistantId": "a", **more}


def test_only_the_id_is_needed_and_a_bad_field_costs_only_itself() -> None:
    found = parse({"assistants": [one(name=7, resources="no", runtimeUrl=[1])]})
    entry = found.entries[0]
    assert (entry.id, entry.name, entry.cloud, entry.gateway_port) == ("a", "a", "local", None)
    assert found.dropped == 0


@pytest.mark.parametrize("bad", [{}, {"assistantId": 3}, {"assistantId": ""}, "x", None, []])
def test_an_entry_without_a_usable_id_is_dropped_alone(bad: object) -> None:
    found = parse({"assistants": [bad, one()]})
    assert [entry.id for entry in found.entries] == ["a"]
    assert found.dropped == 1


def test_the_list_may_be_anything() -> None:
    assert parse({"assistants": "no"}).entries == ()
    assert parse({}).entries == ()


@pytest.mark.parametrize(
    ("raw", "cloud"),
    [
        ({"project": "p"}, "gcp"),
        ({"sshUser": "u"}, "custom"),
        ({}, "local"),
        ({"cloud": "docker", "project": "p"}, "docker"),
    ],
)
def test_a_missing_cloud_is_derived(raw: dict[str, object], cloud: str) -> None:
    assert parse({"assistants": [one(**raw)]}).entries[0].cloud == cloud


@pytest.mark.parametrize(
    ("raw", "port"),
    [
        ({"resources": {"gatewayPort": 7831}}, 7831),
        ({"resources": {"gatewayPort": 7831.5}}, None),
        ({"resources": {"gatewayPort": True}}, None),
        ({"resources": {"gatewayPort": 70000}, "runtimeUrl": "http://127.0.0.1:9"}, 9),
        ({"runtimeUrl": "http://localhost:12"}, 12),
        ({"runtimeUrl": "http://10.0.0.1:12"}, None),
        ({"runtimeUrl": "http://localhost:notaport"}, None),
    ],
)
def test_the_gateway_port(raw: dict[str, object], port: int | None) -> None:
    assert parse({"assistants": [one(**raw)]}).entries[0].gateway_port == port


def test_the_active_assistant() -> None:
    two = [one(), {"assistantId": "b"}]
    assert parse({"assistants": two, "activeAssistant": "b"}).active == "b"
    assert parse({"assistants": two, "activeAssistant": "gone"}).active == ""
    assert parse({"assistants": two}).active == ""
    assert parse({"assistants": [one()], "activeAssistant": "gone"}).active == "a"


def test_no_secret_is_kept() -> None:
    raw = one(
        bearerToken="s3cret-bearer",
        guardianBootstrapSecret="s3cret-boot",
        resources={"signingKey": "s3cret-key", "gatewayPort": 1},
    )
    assert "s3cret" not in repr(parse({"assistants": [raw]}))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(json_values)
def test_nothing_in_a_lockfile_raises(raw: object) -> None:
    for entry in parse(raw).entries:
        assert safe_id(entry.id)


def test_malformed_is_unknown_and_keeps_the_last_good_list(tmp_path: Path) -> None:
    env = place("production", {"HOME": str(tmp_path)})
    reader = RegistryReader()
    assert reader.read(env).entries == ()
    assert not reader.read(env).problem
    env.lockfile.write_text(json.dumps({"assistants": [one()]}))
    assert [e.id for e in reader.read(env).entries] == ["a"]
    for bad in ("{", "[]", "[" * 100_000):
        env.lockfile.write_text(bad)
        found = reader.read(env)
        assert found.problem
        assert [e.id for e in found.entries] == ["a"]
    replacement = tmp_path / "new"
    replacement.write_text(json.dumps({"assistants": [{"assistantId": "b"}]}))
    replacement.rename(env.lockfile)
    found = reader.read(env)
    assert not found.problem
    assert [e.id for e in found.entries] == ["b"]


def test_an_unreadable_lockfile_is_unknown(tmp_path: Path) -> None:
    env = place("production", {"HOME": str(tmp_path)})
    env.lockfile.mkdir()
    assert RegistryReader().read(env).problem


def test_an_older_name_is_read_where_the_first_is_missing(tmp_path: Path) -> None:
    env = place("production", {"HOME": str(tmp_path)})
    (tmp_path / ".vellum.lockfile.json").write_text(json.dumps({"assistants": [one()]}))
    assert [e.id for e in RegistryReader().read(env).entries] == ["a"]


def test_all_five_environments_have_their_own_files(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    places = [place(name, environ) for name in ENVIRONMENTS]
    assert len({p.lockfile for p in places}) == len({p.config for p in places}) == 5
    assert place("dev", environ).lockfile == tmp_path / ".config/vellum-dev/lockfile.json"
    moved = {**environ, "VELLUM_LOCKFILE_DIR": str(tmp_path / "m")}
    assert place("dev", moved).lockfile == tmp_path / "m/lockfile.json"
    assert place("dev", moved).config == tmp_path / ".config/vellum-dev"
    held = place("staging", environ).lockfile
    held.parent.mkdir(parents=True)
    held.write_text(json.dumps({"assistants": [one()]}))
    assert elsewhere(tuple(places)) == ("staging",)


def test_which_environment(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert Site("", home).place.environment == "production"
    chosen = tmp_path / ".config/vellum/environment"
    chosen.parent.mkdir(parents=True)
    chosen.write_text("dev\n")
    assert Site("", home).place.environment == "dev"
    assert Site("", {**home, "VELLUM_ENVIRONMENT": "test"}).place.environment == "test"
    assert Site("local", {**home, "VELLUM_ENVIRONMENT": "test"}).place.environment == "local"
    with pytest.raises(UnavailableError, match="no environment 'moon'"):
        _ = Site("", {**home, "VELLUM_ENVIRONMENT": "moon"}).place
    kept = Site("", home)
    assert kept.place.environment == "dev"
    chosen.write_text("staging")
    assert kept.place.environment == "dev"
    assert kept.child_environ()["VELLUM_ENVIRONMENT"] == "dev"


@pytest.mark.parametrize(
    "bad", ["", "-x", "--repair-guardian", "a/b", "..", ".", "a\\b", "a\0", " a"]
)
def test_ids_that_could_be_taken_for_something_else_never_reach_argv(bad: str) -> None:
    """Invariant 15."""
    for command in Command:
        with pytest.raises(RefusedError):
            argv("vellum", command, bad, Confirmation("production", bad, "x"))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.sampled_from(list(Command)))
def test_argv_has_exactly_one_id_or_is_refused(name: str, command: Command) -> None:
    """Invariants 7 and 15."""
    confirmation = Confirmation("production", name, "x")
    try:
        words = argv("vellum", command, name, confirmation)
    except RefusedError:
        assert not safe_id(name)
        return
    before, after = command.value
    assert words == ("vellum", *before, name, *after)
    if command in NEEDS_CONFIRMATION:
        with pytest.raises(RefusedError):
            argv("vellum", command, name)
        with pytest.raises(RefusedError):
            argv("vellum", command, name, Confirmation("production", name + "x", "x"))


def test_what_destroys_cannot_be_said() -> None:
    words = {word for command in Command for part in command.value for word in part}
    assert words == {"wake", "gateway", "token", "refresh", "sleep", "--repair-guardian"}
    assert {Command.REISSUE, Command.SLEEP} == NEEDS_CONFIRMATION


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_700_000_000_000, 1_700_000_000.0),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20.000+00:00", 1_700_000_000.0),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
        ("soon", None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (10**30, None),
    ],
)
def test_expiries_are_text_or_milliseconds(value: object, seconds: float | None) -> None:
    assert instant(value) == seconds


def token(access_s: float | None, refresh_s: float | None, **more: object) -> dict[str, object]:
    raw: dict[str, object] = {"accessToken": "t", "refreshToken": "r", **more}
    if access_s is not None:
        raw["accessTokenExpiresAt"] = (NOW + access_s) * 1000
    if refresh_s is not None:
        raw["refreshTokenExpiresAt"] = (NOW + refresh_s) * 1000
    return raw


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (token(3600, 7200), CredentialState.VALID),
        (token(30, 7200), CredentialState.EXPIRED),
        (token(-1, 7200), CredentialState.EXPIRED),
        (token(None, 7200), CredentialState.UNDATED),
        (token(None, -1), CredentialState.UNDATED),
        (token(-1, -1), CredentialState.SPENT),
        (token(-1, 7200, refreshToken=""), CredentialState.SPENT),
        (token(3600, 7200, accessToken=""), CredentialState.BROKEN),
        (token(3600, 7200, accessToken="a\r\nX: y"), CredentialState.BROKEN),
        ([], CredentialState.BROKEN),
    ],
)
def test_what_a_token_file_is_good_for(raw: object, state: CredentialState) -> None:
    assert judge(raw, NOW).state is state


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(json_values)
def test_nothing_in_a_token_file_raises(raw: object) -> None:
    assert judge(raw, NOW).state in CredentialState


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("starting", PidState.STARTING),
        ("x", PidState.JUNK),
        ("-5", PidState.JUNK),
        ("0", PidState.JUNK),
        ("99999999999999", PidState.JUNK),
        ("2147483000", PidState.DEAD),
        ("self", PidState.STRANGER),
    ],
)
def test_pid_files(tmp_path: Path, text: str, state: PidState) -> None:
    path = tmp_path / "x.pid"
    marks = Marks("a", str(tmp_path / "i"))
    assert recorded(read_pid(path), marks).state is PidState.MISSING
    path.write_text(text.replace("self", str(os.getpid())) + "\n")
    assert recorded(read_pid(path), marks).state is state


def test_a_pipe_in_the_place_of_a_pid_file_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pid")
    assert read_pid(tmp_path / "x.pid").state is PidState.UNREADABLE


def test_a_pid_file_that_cannot_be_read_is_not_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("1")
    assert read_pid(tmp_path / "file" / "x.pid").state is PidState.MISSING
    (tmp_path / "x.pid").write_text("1")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pid_files, "open_regular", refused)
    assert read_pid(tmp_path / "x.pid").state is PidState.UNREADABLE


@pytest.mark.parametrize("listed", [{}, "a", None, 3])
def test_assistants_that_are_no_list_are_not_known(tmp_path: Path, listed: object) -> None:
    env = place("production", {"HOME": str(tmp_path)})
    reader = RegistryReader()
    env.lockfile.write_text(json.dumps({"assistants": [one()]}))
    assert reader.read(env).problem == ""
    env.lockfile.write_text(json.dumps({"assistants": listed, "activeAssistant": "a"}))
    found = reader.read(env)
    assert found.problem == "its assistants are no list"
    assert [entry.id for entry in found.entries] == ["a"]
    env.lockfile.write_text("{}")
    assert (reader.read(env).problem, reader.read(env).entries) == ("", ())


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        (tmp_path / "p").write_text(str(child))
        found = recorded(read_pid(tmp_path / "p"), Marks("a", str(tmp_path)))
        assert found.state is PidState.ZOMBIE
        assert not found.alive
    finally:
        os.waitpid(child, 0)


def test_an_old_entry_has_its_folder_and_the_ports_of_its_environment() -> None:
    raw = {"assistants": [{"assistantId": "a", "baseDataDir": "/old/a"}]}
    old = parse(raw, (7821, 7830)).entries[0]
    assert (old.instance, old.daemon_port, old.gateway_port) == ("/old/a", 7821, 7830)
    new = parse({"assistants": [{"assistantId": "a", "resources": {}}]}, (7821, 7830)).entries[0]
    assert new.gateway_port is None
    both = {"assistantId": "a", "baseDataDir": "/old", "resources": {"instanceDir": "/new"}}
    assert parse({"assistants": [both]}).entries[0].instance == "/new"


def test_the_local_address_gives_the_port_before_the_other() -> None:
    entry = {
        "assistantId": "a",
        "localUrl": "http://127.0.0.1:7900",
        "runtimeUrl": "http://localhost:7901",
    }
    assert parse({"assistants": [entry]}).entries[0].gateway_port == 7900


@pytest.mark.parametrize(
    ("text", "state", "problem"),
    [
        ("<html>secret</html>", CredentialState.BROKEN, "it begins like HTML"),
        ("", CredentialState.BROKEN, "it is empty"),
        ("secret", CredentialState.BROKEN, "it is not JSON"),
        ('{"accessToken": "secret', CredentialState.BROKEN, "it begins like JSON"),
        ("[]", CredentialState.BROKEN, "it holds a list"),
        ('{"token": "secret"}', CredentialState.BROKEN, "it has no usable accessToken"),
        ('{"accessToken": "secret\udcff"}', CredentialState.BROKEN, "it is not UTF-8 text"),
        ('{"accessToken": ' + "[" * 99 + "]" * 99 + "}", CredentialState.BROKEN, "too deep"),
    ],
)
def test_a_broken_credential_is_not_an_absent_one(
    tmp_path: Path, text: str, state: CredentialState, problem: str
) -> None:
    path = tmp_path / "token.json"
    assert read_credential(path, NOW).state is CredentialState.ABSENT
    path.write_bytes(text.encode(errors="surrogateescape"))
    found = read_credential(path, NOW)
    assert found.state is state
    assert problem in found.problem
    assert "secret" not in found.problem


def test_a_credential_that_may_not_be_read_tells_its_mode(tmp_path: Path) -> None:
    # A folder where the file should be cannot be read by anybody, root included.
    (tmp_path / "token.json").mkdir(mode=0o700)
    found = read_credential(tmp_path / "token.json", NOW)
    assert found.state is CredentialState.UNREADABLE
    assert "mode 0700" in found.problem


def test_expiries_of_any_size_are_bounded() -> None:
    odds: tuple[object, ...] = (10**400, -(10**400), "9" * 5000, True, [], {}, "9999-99-99")
    for odd in odds:
        raw = token(3600, 7200)
        raw["accessTokenExpiresAt"] = odd
        assert judge(raw, NOW).access_until is None


@pytest.mark.parametrize(
    "odd",
    (
        *("9" * 400, "-" + "9" * 400, "9" * 20, "1e999", "NaN", "-Infinity"),
        *("-5", "0", "true", "null", "[]", '"soon"'),
    ),
)
def test_a_credential_whose_expiry_cannot_be_read_is_there_and_undated(
    tmp_path: Path, odd: str
) -> None:
    path = tmp_path / "token.json"
    path.write_text(f'{{"accessToken": "t", "refreshToken": "r", "accessTokenExpiresAt": {odd}}}')
    found = read_credential(path, NOW)
    assert (found.state, found.access_until) == (CredentialState.UNDATED, None)
    assert found.renewable
    assert access_token(path) == "t"
