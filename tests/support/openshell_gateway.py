"""A gateway for tests, spoken to by the real CLI; run by the kit's interpreter, not by pytest.

It answers from its own memory, runs commands on this machine for `exec`, and takes orders as JSON
lines on stdin: {"phase": {NAME: N}}, {"fault": NAME}, {"rules": {NAME: N}}, {"exits": {NAME: N}},
{"conditions": {NAME: [TYPE, STATUS, REASON, MESSAGE]}}, {"life": {NAME: {FIELD: VALUE}}}. The
first line of stdout is the port.

Arguments: sandbox names as JSON, port, and for TLS the server's key and certificate, then whose
certificates clients must show; then further ports, each with those three. The stubs it is run with
decide the generation it speaks.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format  # type: ignore[import-untyped]
from openshell._proto import datamodel_pb2, openshell_pb2, openshell_pb2_grpc, sandbox_pb2

READY, ERROR, STOPPED, STARTING = 2, 3, 7, 8
FAULTS = {
    "unauthenticated": (grpc.StatusCode.UNAUTHENTICATED, "invalid token"),
    "denied": (grpc.StatusCode.PERMISSION_DENIED, "not allowed"),
    "unimplemented": (grpc.StatusCode.UNIMPLEMENTED, "not here"),
}


class Gateway(openshell_pb2_grpc.OpenShellServicer):  # type: ignore[misc]
    """What a gateway of 0.0.111 answers."""

    def __init__(self, names: list[str], version: str = "0.0.111") -> None:
        self.version = version
        self.fault = ""
        self.slow_s = 0.3
        self.phases = dict.fromkeys(names, READY)
        self.rules: dict[str, int] = {}
        self.decided: dict[tuple[str, str], str] = {}
        self.exits: dict[str, int] = {}
        self.conditions: dict[str, list[str]] = {}
        self.life: dict[str, dict[str, Any]] = {}
        self.ids = {name: f"id-{name}" for name in names}

    def order(self, told: dict[str, Any]) -> None:
        self.phases.update(told.get("phase", {}))
        self.rules.update(told.get("rules", {}))
        self.exits.update(told.get("exits", {}))
        self.conditions.update(told.get("conditions", {}))
        self.life.update(told.get("life", {}))
        self.fault = told.get("fault", self.fault)
        self.version = told.get("version", self.version)

    def _guard(self, context: Any) -> None:
        if self.fault in FAULTS:
            context.abort(*FAULTS[self.fault])
        if self.fault == "hang":
            time.sleep(60)  # the fault itself

    def _sandbox(self, name: str) -> Any:
        one = openshell_pb2.Sandbox(
            metadata=datamodel_pb2.ObjectMeta(
                id=self.ids[name],
                name=name,
                labels={"team": "blue"},
                resource_version=3,
                workspace="default",
            ),
            spec=openshell_pb2.SandboxSpec(policy=sandbox_pb2.SandboxPolicy(version=1)),
            status=openshell_pb2.SandboxStatus(
                phase=self.phases[name],
                current_policy_version=2,
                exit_code=self.exits.get(name),
                conditions=[
                    openshell_pb2.SandboxCondition(
                        **dict(zip(("type", "status", "reason", "message"), told, strict=True))
                    )
                    for told in [self.conditions.get(name)]
                    if told is not None
                ],
            ),
        )
        # Fields of the status that only some stubs have, as JSON.
        json_format.ParseDict(self.life.get(name, {}), one.status)
        if hasattr(one.metadata, "created_at_ms"):
            one.metadata.created_at_ms = 1_700_000_000_000
        return one

    def _known(self, name: str, context: Any) -> Any:
        if name not in self.phases:
            context.abort(grpc.StatusCode.NOT_FOUND, "sandbox not found")
        return self._sandbox(name)

    def Health(self, request: Any, context: Any) -> Any:
        if self.fault == "hang":
            time.sleep(60)  # the fault itself
        status = 2 if self.fault == "degraded" else 1
        return openshell_pb2.HealthResponse(status=status, version=self.version)

    def GetCurrentUser(self, request: Any, context: Any) -> Any:
        self._guard(context)
        return openshell_pb2.GetCurrentUserResponse(subject="me", roles=["user"])

    def ListSandboxes(self, request: Any, context: Any) -> Any:
        self._guard(context)
        names = sorted(self.phases)
        if hasattr(request, "page_token"):
            at, most = int(request.page_token or 0), request.page_size or 100
            more = str(at + most) if at + most < len(names) else ""
            page = map(self._sandbox, names[at : at + most])
            return openshell_pb2.ListSandboxesResponse(sandboxes=page, next_page_token=more)
        names = names[request.offset :][: request.limit or 100]
        return openshell_pb2.ListSandboxesResponse(sandboxes=map(self._sandbox, names))

    def GetSandbox(self, request: Any, context: Any) -> Any:
        self._guard(context)
        return openshell_pb2.SandboxResponse(sandbox=self._known(request.name, context))

    def GetSandboxConfig(self, request: Any, context: Any) -> Any:
        return sandbox_pb2.GetSandboxConfigResponse(
            policy=sandbox_pb2.SandboxPolicy(version=1), version=2, workspace="default"
        )

    def GetDraftPolicy(self, request: Any, context: Any) -> Any:
        self._guard(context)
        numbers = range(self.rules.get(request.name, 0))
        chunks = [
            openshell_pb2.PolicyChunk(
                id=f"c{n}",
                status=self.decided.get((request.name, f"c{n}"), "pending"),
                rule_name=f"rule-{n}",
                rationale="asked for twice",
                binary="/usr/bin/curl",
                proposed_rule=sandbox_pb2.NetworkPolicyRule(
                    name=f"rule-{n}",
                    endpoints=[sandbox_pb2.NetworkEndpoint(host="example.com", port=443)],
                    binaries=[sandbox_pb2.NetworkBinary(path="/usr/bin/curl")],
                ),
            )
            for n in numbers
        ]
        wanted = request.status_filter
        chunks = [one for one in chunks if not wanted or one.status == wanted]
        return openshell_pb2.GetDraftPolicyResponse(chunks=chunks, draft_version=1)

    def ApproveDraftChunk(self, request: Any, context: Any) -> Any:
        self.decided[request.name, request.chunk_id] = "approved"
        return openshell_pb2.ApproveDraftChunkResponse(policy_version=2, policy_hash="h")

    def RejectDraftChunk(self, request: Any, context: Any) -> Any:
        self.decided[request.name, request.chunk_id] = "rejected"
        return openshell_pb2.RejectDraftChunkResponse()

    def GetDraftHistory(self, request: Any, context: Any) -> Any:
        self._guard(context)
        entries = [
            openshell_pb2.DraftHistoryEntry(
                timestamp_ms=1_700_000_000_000, event_type=word, description=name, chunk_id=chunk
            )
            for (name, chunk), word in self.decided.items()
            if name == request.name
        ]
        return openshell_pb2.GetDraftHistoryResponse(entries=entries)

    def StartSandbox(self, request: Any, context: Any) -> Any:
        self._guard(context)
        self._known(request.name, context)
        if self.phases[request.name] != STOPPED:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "sandbox must be Stopped to start (current phase: Error)",
            )
        self.phases[request.name] = STARTING
        threading.Timer(self.slow_s, self._started, [request.name]).start()
        return openshell_pb2.SandboxResponse(sandbox=self._sandbox(request.name))

    def _started(self, name: str) -> None:
        self.phases[name] = READY

    def WatchSandbox(self, request: Any, context: Any) -> Iterator[Any]:
        name = next(name for name, one in self.ids.items() if one == request.id)
        number = 0
        while context.is_active():
            yield openshell_pb2.SandboxStreamEvent(sandbox=self._sandbox(name))
            if request.follow_logs:
                number += 1
                yield openshell_pb2.SandboxStreamEvent(log=self._line(name, number))
            if request.stop_on_terminal and self.phases[name] in (READY, ERROR):
                return
            time.sleep(0.1)  # the pace of the stream

    def _line(self, name: str, number: int) -> Any:
        return openshell_pb2.SandboxLogLine(
            sandbox_id=self.ids[name],
            timestamp_ms=int(time.time() * 1000),
            level="INFO",
            target="stub",
            message=f"line {number}",
            source="gateway",
        )

    def GetSandboxLogs(self, request: Any, context: Any) -> Any:
        name = next(name for name, one in self.ids.items() if one == request.sandbox_id)
        return openshell_pb2.GetSandboxLogsResponse(logs=[self._line(name, 0)], buffer_total=1)

    def ExecSandbox(self, request: Any, context: Any) -> Iterator[Any]:
        if self.fault == "supervisor":
            context.abort(grpc.StatusCode.UNAVAILABLE, "supervisor session not connected")
        done = subprocess.run(
            list(request.command), input=request.stdin, capture_output=True, check=False
        )
        if done.stdout:
            yield _event(stdout=openshell_pb2.ExecSandboxStdout(data=done.stdout))
        if done.stderr:
            yield _event(stderr=openshell_pb2.ExecSandboxStderr(data=done.stderr))
        yield _event(exit=openshell_pb2.ExecSandboxExit(exit_code=done.returncode))

    def ExecSandboxInteractive(self, requests: Any, context: Any) -> Iterator[Any]:
        start = next(requests).start
        master, slave = pty.openpty()
        # Forking by hand would be unsafe among the server's threads.
        child = subprocess.Popen(
            ["setsid", "-c", *start.command], stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        _resize(master, start.cols, start.rows)
        threading.Thread(target=_feed, args=(requests, master), daemon=True).start()
        while context.is_active():
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            yield _event(stdout=openshell_pb2.ExecSandboxStdout(data=data))
        os.close(master)
        yield _event(exit=openshell_pb2.ExecSandboxExit(exit_code=child.wait()))


def _event(**told: Any) -> Any:
    return openshell_pb2.ExecSandboxEvent(**told)


def _resize(master: int, columns: int, lines: int) -> None:
    size = struct.pack("HHHH", lines or 24, columns or 80, 0, 0)
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _feed(requests: Any, master: int) -> None:
    try:
        for one in requests:
            if one.HasField("resize"):
                _resize(master, one.resize.cols, one.resize.rows)
            elif one.stdin:
                os.write(master, one.stdin)
    except (grpc.RpcError, OSError):
        pass


def _listen(server: Any, port: str, files: list[str]) -> int:
    """One more port, in plain text or with the key, certificate and clients' CA of these files."""
    if not files:
        return int(server.add_insecure_port(f"127.0.0.1:{port}"))
    key, certificate, *clients = (Path(path).read_bytes() for path in files)
    trusted = clients[0] if clients else None
    credentials = grpc.ssl_server_credentials([(key, certificate)], trusted, bool(clients))
    return int(server.add_secure_port(f"127.0.0.1:{port}", credentials))


def main() -> None:
    gateway = Gateway(json.loads(sys.argv[1]))
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    openshell_pb2_grpc.add_OpenShellServicer_to_server(gateway, server)
    port, *rest = sys.argv[2:]
    bound = _listen(server, port, rest[:3])
    for at in range(3, len(rest), 4):
        _listen(server, rest[at], rest[at + 1 : at + 4])
    server.start()
    print(bound, flush=True)  # noqa: T201
    for line in sys.stdin:
        gateway.order(json.loads(line))
        print("ok", flush=True)  # noqa: T201
    server.stop(0)
    os._exit(0)


if __name__ == "__main__":
    main()
