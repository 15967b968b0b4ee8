"""One detector for each kind of source: checks disk, environment and tools alone."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from services.doctor.findings import ConfigBlock, Finding, Requirement
from services.errors import DeadlineError, ProcessError, WakedeckError
from services.files.bounded import open_regular
from services.process.run import run
from services.text.redact import redact_line
from services.text.sanitize import sanitize

_SERVER = re.compile(r"^\s*-?\s*server:\s*[\"']?([A-Za-z0-9.-]+(?::\d{1,5})?)[\"']?\s*$", re.M)
_LARGEST = 1 << 20
TOOL_S = 3.0
"""How long a tool may take to tell its version."""
DISK_S = 3.0
_T = TypeVar("_T")


def abbreviate_home(path: Path | str) -> str:
    """A path with the home folder as `~`, harmless."""
    said, home = str(path), str(Path.home())
    if said == home or said.startswith(home + os.sep):
        said = "~" + said[len(home) :]
    return sanitize(said, 200)


async def nanoclaw(_: Mapping[str, str]) -> Finding:
    """Checkouts in the usual places."""
    from services.sources.nanoclaw import install

    def scan() -> list[tuple[install.Install, str]]:
        found: dict[Path, tuple[install.Install, str]] = {}
        for root in install.expected_roots():
            one = install.install_at(root)
            try:
                install.check(one)
            except WakedeckError:
                continue
            found[one.root] = (one, install.owner_trouble(one))
        return list(found.values())

    installs = await in_thread(scan)
    docker = await probe_tool(
        "docker",
        *("version", "--format", "{{.Server.Version}}"),
        missing="not on the PATH: containers are shown as unknown",
        required=False,
    )
    owners = [
        Requirement("the host's user", False, f"{abbreviate_home(one.root)}: {trouble}")
        for one, trouble in installs
        if trouble
    ]
    return Finding(
        "nanoclaw",
        "NanoClaw",
        tuple(f"a checkout in {abbreviate_home(one.root)}" for one, _ in installs),
        (
            Requirement(
                "a checkout",
                bool(installs),
                "" if installs else "none in the usual places; name its folder as `root`",
            ),
            docker,
            *owners,
        ),
        tuple(
            ConfigBlock("nanoclaw", "nanoclaw", {"root": abbreviate_home(one.root)})
            for one, _ in installs
        ),
    )


async def openshell(_: Mapping[str, str]) -> Finding:
    """The command, its registered gateways and NemoClaw's register."""
    from services.errors import UnavailableError
    from services.sources.openshell import cli, grpc_client, metadata, nemoclaw_registry
    from services.sources.openshell.records import Registration

    place = await in_thread(cli.locate)
    lacking = "`openshell gateway add ADDRESS --name NAME`"
    gateways: tuple[Registration, ...] = ()
    try:
        gateways = await in_thread(lambda: metadata.registrations(cli.config_folder()))
    except UnavailableError as error:
        lacking = error.sentence
    register = Path("~/.nemoclaw/sandboxes.json").expanduser()
    nemoclaw = await in_thread(lambda: nemoclaw_registry.read(register))
    found: list[str] = []
    if place is not None:
        found.append(f"the openshell command in {abbreviate_home(place)}")
    found += [f"gateway {one.name}, {one.endpoint or 'no address'}" for one in gateways]
    if nemoclaw.status is nemoclaw_registry.RegistryStatus.FILLED:
        found.append(f"NemoClaw's register with {len(nemoclaw.entries)} sandbox(es)")
    elif nemoclaw.problem:
        found.append(f"{nemoclaw.status.value}: {nemoclaw.problem}")
    command = (
        await probe_tool("openshell", "--version", path=str(place))
        if place is not None
        else Requirement("openshell", False, "not installed; a path can be given as `binary`")
    )
    registered = Requirement(
        "a registered gateway",
        bool(gateways),
        "" if gateways else lacking,
    )
    wire = importlib.util.find_spec("grpc") is not None
    stubs = await in_thread(grpc_client.stubs) if wire else None
    line = "" if stubs is None else ".".join(map(str, stubs[:2]))
    extra = Requirement(
        "gRPC",
        stubs is not None,
        f"the stubs are for gateways of {line}; others are asked through the command alone"
        if stubs is not None
        else "the `openshell` extra adds reasons, exit codes and dates of certificates",
        required=False,
    )
    wanted = place is not None or bool(nemoclaw.entries)
    return Finding(
        "openshell",
        "OpenShell, NemoClaw",
        tuple(found),
        (command, registered, extra),
        (ConfigBlock("openshell", "openshell"),) if wanted else (),
    )


async def kubernetes(environ: Mapping[str, str]) -> Finding:
    """The kubeconfig and its current context."""
    from services.sources.pods import kubeconfig

    files = [path for path in kubeconfig.places("", environ) if await in_thread(path.is_file)]
    yaml = importlib.util.find_spec("yaml") is not None
    kubectl = await probe_tool("kubectl", missing="not on the PATH; not needed", required=False)
    needs = [
        Requirement("a kubeconfig", bool(files), "" if files else "none; KUBECONFIG may name one"),
        Requirement("PyYAML", yaml, "" if yaml else "install wakedeck with its `kubernetes` extra"),
        kubectl,
    ]
    found = [f"the kubeconfig {abbreviate_home(path)}" for path in files]
    blocks: list[ConfigBlock] = []
    problem = ""
    if files:
        try:
            names = await in_thread(lambda: kubeconfig.contexts("", environ))
            current = await in_thread(lambda: kubeconfig.load("", "", "", environ))
        except WakedeckError as error:
            problem = error.sentence
        else:
            more = f" of {len(names)}" if len(names) > 1 else ""
            found.append(f"context {sanitize(current.context, 80)}{more}")
            blocks.append(ConfigBlock("kubernetes", "kubernetes", {"context": current.context}))
    return Finding("kubernetes", "Kubernetes", tuple(found), tuple(needs), tuple(blocks), problem)


async def centml(environ: Mapping[str, str]) -> Finding:
    """The sign-in of its own client, or a service account."""
    from services.sources.pods import centml_token

    environ = await in_thread(lambda: centml_token.settings(environ, Path.cwd()))
    file = centml_token.credential_file(environ)
    signed_in = await in_thread(file.is_file)
    account = centml_token.service_account(environ) is not None
    command = await probe_tool(
        "centml", missing="not on the PATH; needed once, for `centml login`", required=False
    )
    found = []
    if signed_in:
        found.append(f"a sign-in in {abbreviate_home(file)}")
    if account:
        found.append("a service account in the environment")
    if command.met:
        found.append(f"the centml command in {abbreviate_home(command.detail)}")
    sign_in = Requirement(
        "a sign-in", signed_in or account, "" if signed_in or account else "`centml login`"
    )
    blocks = (ConfigBlock("centml", "centml"),) if signed_in or account else ()
    return Finding("centml", "CentML", tuple(found), (sign_in, command), blocks)


async def argocd(environ: Mapping[str, str]) -> Finding:
    """Servers its own client knows; its tokens are not read."""
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    files = (Path("~/.argocd/config").expanduser(), Path(base).expanduser() / "argocd" / "config")

    def scan() -> list[str]:
        for file in files:
            try:
                with open_regular(file) as stream:
                    return _SERVER.findall(stream.read(_LARGEST).decode("utf-8", "replace"))
            except OSError:
                continue
        return []

    servers = list(dict.fromkeys(await in_thread(scan)))
    named = environ.get("ARGOCD_SERVER", "")
    if re.fullmatch(r"[A-Za-z0-9.-]+(?::\d{1,5})?", named) and named not in servers:
        servers.insert(0, named)
    command = await probe_tool("argocd", missing="not on the PATH; not needed", required=False)
    found = [f"server {name}" for name in servers]
    if command.met:
        found.append(f"the argocd command in {abbreviate_home(command.detail)}")
    token = bool(environ.get("ARGOCD_AUTH_TOKEN"))
    needs = (
        Requirement("a server", bool(servers), "" if servers else "give its address as `url`"),
        Requirement(
            "a token",
            token,
            "in ARGOCD_AUTH_TOKEN" if token else "ARGOCD_AUTH_TOKEN, or a file named `token_file`",
        ),
        command,
    )
    blocks = tuple(ConfigBlock("argocd", "argocd", {"url": f"https://{name}"}) for name in servers)
    return Finding("argocd", "Argo CD", tuple(found), needs, blocks)


async def vellum(environ: Mapping[str, str]) -> Finding:
    """The command and the environments that have assistants."""
    from services.sources.vellum import layout, registry

    def scan() -> list[tuple[str, int, str]]:
        held = []
        for name in layout.ENVIRONMENTS:
            read = registry.RegistryReader().read(layout.place(name, environ))
            if read.entries or read.problem:
                held.append((name, len(read.entries), read.problem))
        return held

    environments = await in_thread(scan)
    command = await probe_tool("vellum", "--version")
    bun = await probe_tool("bun", missing="not on the PATH; the vellum command runs on it")
    found = [
        f"environment {name}: {problem or f'{count} assistant(s)'}"
        for name, count, problem in environments
    ]
    if command.met:
        found.append(f"the vellum command in {abbreviate_home(command.detail)}")
    needs = (
        Requirement("an assistant", bool(environments), "" if environments else "`vellum hatch`"),
        command,
        bun,
    )
    blocks = tuple(
        ConfigBlock("vellum", "vellum", {"environment": name}) for name, _, _ in environments
    )
    return Finding("vellum", "Vellum", tuple(found), needs, blocks)


async def openclaw(environ: Mapping[str, str]) -> Finding:
    """State directories that hold a gateway."""
    from services.sources.openclaw import layout

    def scan() -> list[layout.StateDirectory]:
        found = layout.state_directories("", environ)
        return [one for one in found if layout.is_filled(one)]

    places = await in_thread(scan)
    command = await probe_tool("openclaw", missing="not on the PATH; not needed", required=False)
    lacking = "none in the home folder; name it as `state_dir`, or its address as `url`"
    return Finding(
        "openclaw",
        "OpenClaw",
        tuple(f"a gateway's state in {abbreviate_home(one.path)}" for one in places),
        (
            Requirement("a state directory", bool(places), "" if places else lacking),
            command,
        ),
        (ConfigBlock("openclaw", "openclaw"),) if places else (),
    )


async def in_thread(work: Callable[[], _T], limit_s: float = DISK_S) -> _T:
    """Run it in a thread that is not waited for beyond the limit, at the end of the process too.

    Raises:
        DeadlineError: it takes longer; whatever `work` raises.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # The loop has gone: nobody waits any more.

    threading.Thread(target=body, daemon=True, name="doctor").start()
    try:
        async with asyncio.timeout(limit_s):
            return await answer
    except TimeoutError as error:
        raise DeadlineError(f"The disk gave no answer within {limit_s:g} s.") from error


async def probe_tool(
    name: str, *arguments: str, path: str = "", missing: str = "", required: bool = True
) -> Requirement:
    """A command on this machine and the first line it says of itself."""
    place = path or await in_thread(lambda: shutil.which(name) or "")
    if not place:
        return Requirement(name, False, missing or "not on the PATH", required)
    where = sanitize(place, 200)
    if not arguments:
        return Requirement(name, True, where, required)
    try:
        done = await run([place, *arguments], timeout_s=TOOL_S, max_output=4096)
    except ProcessError as error:
        return Requirement(name, False, f"{where}: {error.sentence}", required)
    if done.code is None:
        return Requirement(name, False, f"{where}: gave no answer within {TOOL_S:g} s", required)
    streams = (done.stdout, done.stderr) if done.code == 0 else (done.stderr, done.stdout)
    said = next((line for line in map(_first_line, streams) if line), "")
    said = redact_line(said, 120)
    if done.code != 0:
        return Requirement(name, False, f"{where}: {said or f'ended with {done.code}'}", required)
    return Requirement(name, True, f"{where} ({said})" if said else where, required)


def _first_line(raw: bytes) -> str:
    lines = raw.decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in lines if line.strip()), "")
