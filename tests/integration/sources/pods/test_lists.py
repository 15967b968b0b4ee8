"""Lists of pods that take longer than a look: what came is shown, kept, and not asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from services.errors import AmbiguousError, UnavailableError
from services.models import Observation, SandboxId, SandboxState
from services.sources.pods import kube_observer, listing, watch
from services.sources.protocol.observer import LongLists, NameFinder
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.support.http_peer import Exchange, Request
from tests.support.kube_api import pod, status
from tests.support.waiting import eventually

PAGE = 10
PODS = 30


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are small, and a look waits for them, unless a gate holds them up."""
    monkeypatch.setattr(kube_observer, "LOOK_S", 30.0)
    monkeypatch.setattr(listing, "PAGE", PAGE)


def is_page(exchange: Exchange) -> bool:
    request = exchange.request
    return request.path.endswith("/pods") and not request.one("watch")


def is_later_page(exchange: Exchange) -> bool:
    return is_page(exchange) and bool(exchange.request.one("continue"))


def is_watch(exchange: Exchange) -> bool:
    return bool(exchange.request.one("watch"))


class Gate:
    """Holds answers up that it is told to, until it is opened; a look soon goes without them."""

    def __init__(self, one: Cluster, held: Callable[[Exchange], bool]) -> None:
        kube_observer.LOOK_S = 0.3
        self.waiting = 0
        self._held = held
        self._open = asyncio.Event()
        one.api.refuse = self._pass

    def open(self) -> None:
        self._open.set()

    async def _pass(self, exchange: Exchange) -> bool:
        if self._held(exchange):
            self.waiting += 1
            await self._open.wait()
        return False


async def filled(one: Cluster, number: int = PODS) -> None:
    await one.api.remove("box")
    for at in range(number):
        await one.api.put(pod(f"pod-{at:02d}"))


async def listed(one: Cluster, number: int = PAGE) -> Observation:
    """The first look that shows so many."""

    async def looked() -> Observation:
        seen = await one.source.observer.observe()
        assert len(seen.sandboxes) == number, names(seen)
        return seen

    return await eventually(looked)


def names(seen: Observation) -> list[str]:
    return sorted(one.name for one in seen.sandboxes)


def why(seen: Observation) -> str:
    return "; ".join(one.reason for _, one in seen.unknown)


def pages_asked(one: Cluster) -> list[str]:
    requests = one.api.peer.requests
    return [x.one("continue") for x in requests if x.path.endswith("/pods") and not x.one("watch")]


async def test_pages_are_shown_as_they_come_and_kept_up_meanwhile(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await filled(one)
        gate = Gate(one, is_later_page)
        seen = await listed(one)
        assert names(seen) == [f"pod-{at:02d}" for at in range(PAGE)]
        assert why(seen) == "10 of 30 pods listed so far"
        (gateway,) = seen.gateways
        assert ("pods", "10 of 30 pods listed so far") in gateway.evidence
        await one.api.put(pod("pod-03", phase="Failed", reason="Evicted"))
        await one.api.remove("pod-04")
        await one.api.remove("pod-25")
        await one.until("pod-03", SandboxState.BROKEN)
        await one.until("pod-04", None)
        await listed(one, PAGE - 1)
        gate.open()

        async def whole() -> Observation | None:
            seen = await one.source.observer.observe()
            return None if seen.unknown else seen

        seen = cast(Observation, await eventually(whole))
        wanted = {f"pod-{at:02d}" for at in range(PODS)} - {"pod-04", "pod-25"}
        assert set(names(seen)) == wanted
        assert {x.state for x in seen.sandboxes if x.name == "pod-03"} == {SandboxState.BROKEN}
        assert len(pages_asked(one)) == len(set(pages_asked(one))) == PODS // PAGE


async def test_what_waits_for_the_whole_list_is_told_how_far_it_is(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await filled(one)
        gate = Gate(one, is_later_page)
        observer = one.source.observer
        assert isinstance(observer, LongLists)
        await observer.observe()
        telling = asyncio.ensure_future(observer.more())
        gate.open()
        assert "listed" in await telling
        while await observer.more():
            pass
        seen = await observer.observe()
        assert not seen.unknown and len(seen.sandboxes) == PODS


async def test_a_list_that_broke_off_goes_on_behind_its_last_page(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await filled(one)
        broken: list[str] = []

        async def once(exchange: Exchange) -> bool:
            if is_later_page(exchange) and not broken:
                broken.append(exchange.request.one("continue"))
                exchange.abort()
                return True
            return False

        one.api.refuse = once
        seen = await one.source.observer.observe()
        assert len(seen.sandboxes) == PAGE and "broke" in why(seen)
        seen = await one.source.observer.observe()
        assert len(seen.sandboxes) == PODS and not seen.unknown
        asked = pages_asked(one)
        assert asked.count("") == 1 and asked.count(broken[0]) == 2


async def test_a_list_without_a_byte_has_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SILENCE_S", 0.2)
    async with cluster(tmp_path) as one:
        await filled(one)
        Gate(one, is_later_page)

        async def said() -> bool:
            return "did not answer in time" in why(await one.source.observer.observe())

        await eventually(said)


@pytest.mark.parametrize("rest", [True, False])
async def test_a_list_that_expires_between_two_pages_is_whole_all_the_same(
    tmp_path: Path, rest: bool
) -> None:
    async with cluster(tmp_path) as one:
        await filled(one)
        one.api.rest = rest
        gate = Gate(one, is_later_page)
        await one.source.observer.observe()
        await one.api.expire(in_stream=False)
        await one.api.put(pod("late"))
        gate.open()
        await one.until("late", SandboxState.READY)

        async def whole() -> bool:
            seen = await one.source.observer.observe()
            return not seen.unknown and len(seen.sandboxes) == PODS + 1

        await eventually(whole)


async def test_a_cut_costs_what_changed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        watches: list[Exchange] = []

        async def note(exchange: Exchange) -> bool:
            if is_watch(exchange):
                watches.append(exchange)
            return False

        one.api.refuse = note
        await filled(one)
        await one.sandboxes()
        watches[-1].abort()
        await one.api.put(pod("after"))
        await one.api.remove("pod-00")
        await one.until("after", SandboxState.READY)
        await one.until("pod-00", None)
        assert len(watches) == 2 and pages_asked(one).count("") == 1


async def test_a_user_who_may_list_and_not_watch_is_served_by_lists(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:

        async def refuse(exchange: Exchange) -> bool:
            if not is_watch(exchange):
                return False
            await exchange.json(403, status(403, "Forbidden", "pods is forbidden: cannot watch"))
            return True

        one.api.refuse = refuse
        seen = await one.source.observer.observe()
        assert names(seen) == ["box"] and not seen.unknown
        assert ("pods", "listed") in seen.gateways[0].evidence
        await one.api.put(pod("late"))
        await one.until("late", SandboxState.READY)
        await one.api.remove("late")
        await one.until("late", None)


async def test_a_watch_that_something_holds_back_is_made_up_for_by_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HELD_UP_S", 0.3)
    async with cluster(tmp_path) as one:
        gate = Gate(one, is_watch)
        assert names(await listed(one, 1)) == ["box"]
        await one.api.put(pod("late"))
        row = await one.until("late", SandboxState.READY)
        assert row is not None and one.api.lists > 1 and one.api.watches == 0
        gate.open()
        await one.asked(lambda: one.api.watches > 0)
        await one.api.remove("late")
        await one.until("late", None)


async def test_rows_that_a_new_list_has_not_reached_keep_their_age(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await filled(one)
        await one.source.observer.observe()
        gate = Gate(one, is_later_page)
        await one.api.expire()
        await eventually(lambda: gate.waiting)
        seen = await listed(one, PODS)
        ages = {x.name: seen.observed_at - x.observed_at for x in seen.sandboxes}
        assert len(ages) == PODS and why(seen)
        assert ages["pod-00"] == 0 and ages["pod-29"] > 0
        gate.open()

        async def fresh() -> bool:
            seen = await one.source.observer.observe()
            return all(x.observed_at == seen.observed_at for x in seen.sandboxes)

        await eventually(fresh)


async def test_several_namespaces_are_one_source_and_one_that_fails_is_named(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, namespaces=("default", "agents", "closed")) as one:
        await one.api.put(pod("web", "agents"))
        await one.api.put(pod("other", "elsewhere"))

        async def refuse(exchange: Exchange) -> bool:
            if "/closed/" not in exchange.request.path:
                return False
            await exchange.json(403, status(403, "Forbidden", "pods is forbidden"))
            return True

        one.api.refuse = refuse
        seen = await one.source.observer.observe()
        assert {str(x.id) for x in seen.sandboxes} == {"prod/default/box", "prod/agents/web"}
        assert why(seen).startswith("closed: ") and "403" in why(seen)
        assert seen.gateways[0].state.value == "ready"
        one.api.refuse = None

        async def known() -> bool:
            return not (await one.source.observer.observe()).unknown

        await eventually(known)
        assert [x.path for x in one.api.peer.requests if x.one("watch")] != []


async def test_a_table_that_contradicts_itself_is_a_sentence(tmp_path: Path) -> None:
    async with cluster(tmp_path, namespaces=("a", "b"), all_namespaces=True) as one:
        with pytest.raises(UnavailableError, match="names its namespaces twice") as caught:
            await one.source.observer.observe()
        assert "`namespaces`" in caught.value.advice


async def test_what_the_server_told_to_be_gone_leaves_at_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.api.put(pod("web"))
        await one.sandboxes()
        await one.api.remove("web")
        seen: list[Observation] = []

        async def told() -> bool:
            seen.append(await one.source.observer.observe())
            return SandboxId("prod", "default/web") in seen[-1].deleted

        await eventually(told)
        await one.api.put(pod("box", phase="Failed"))
        assert not (await one.source.observer.observe()).deleted


@pytest.mark.parametrize(
    ("options", "typed", "found"),
    [
        ({}, "box", "default/box"),
        ({}, "default/box", "default/box"),
        ({}, "agents/web", None),
        ({}, "web", None),
        ({"namespaces": ("agents", "default")}, "web", "agents/web"),
        ({"namespaces": ("agents", "default")}, "other/web", None),
        ({"all_namespaces": True}, "other/web", "other/web"),
        ({"all_namespaces": True}, "box", "default/box"),
        ({"selector": "app=agent"}, "box", "default/box"),
        ({"selector": "app=other"}, "box", None),
    ],
)
async def test_a_name_is_asked_for_without_a_list(
    tmp_path: Path, options: dict[str, Any], typed: str, found: str | None
) -> None:
    async with cluster(tmp_path, **options) as one:
        await one.api.put(pod("web", "agents"))
        await one.api.put(pod("web", "other"))
        assert isinstance(one.source.observer, NameFinder)
        row = await one.source.observer.find(typed)
        assert (None if row is None else row.id.native_id) == found
        assert one.api.watches == 0


async def test_a_name_that_several_pods_have_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path, all_namespaces=True) as one:
        await one.api.put(pod("box", "other"))
        assert isinstance(one.source.observer, NameFinder)
        with pytest.raises(AmbiguousError, match="default/box, other/box"):
            await one.source.observer.find("box")


def warning(of: dict[str, Any], reason: str, message: str, at: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "uid": of["metadata"]["uid"]},
        **more,
    }


def events_asked(one: Cluster) -> list[Request]:
    return [x for x in one.api.peer.requests if x.path.endswith("/events")]


async def test_what_is_stuck_has_its_newest_warning_in_the_reason(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        waits = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
        stuck = pod("web", phase="Pending", containerStatuses=[waits])
        stuck["status"] |= {"startTime": "2026-01-01T00:00:00Z", "conditions": []}
        one.api.events = [
            warning(stuck, "FailedMount", "no \x1b[2Jvolume", "2026-01-01T00:05:00Z", count=12),
            warning(stuck, "FailedMount", "old", "2026-01-01T00:01:00Z"),
            {**warning(stuck, "Pulled", "newer", "2026-01-01T00:09:00Z"), "type": "Normal"},
            warning(pod("box"), "Unhealthy", "of another", "2026-01-01T00:09:00Z"),
        ]
        await one.api.put(stuck)
        row = (await one.sandboxes())["web"]
        assert row.state is SandboxState.STUCK
        assert row.reason.startswith("FailedMount: no volume (12 times); ContainerCreating: ")
        assert [x.one("fieldSelector") for x in events_asked(one)] == [
            "involvedObject.uid=uid-web,type=Warning"
        ]
        await one.sandboxes()
        assert len(events_asked(one)) == 1
        assert ("last warning", "FailedMount: no volume (12 times)") in row.evidence


async def test_a_warning_that_says_the_same_is_not_said_twice(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        said = "0/3 nodes are available: 3 Insufficient memory."
        refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        late = pod("web", phase="Pending", conditions=[refused | {"message": said}])
        late["status"]["containerStatuses"] = []
        one.api.events = [warning(late, "FailedScheduling", said, "2026-01-01T00:05:00Z")]
        await one.api.put(late)
        row = (await one.sandboxes())["web"]
        assert row.state is SandboxState.STUCK and row.reason.count(said) == 1
        assert ("last warning", f"FailedScheduling: {said}") in row.evidence


async def test_where_events_may_not_be_read_the_row_is_there_without(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        asked: list[str] = []

        async def refuse(exchange: Exchange) -> bool:
            if not exchange.request.path.endswith("/events"):
                return False
            asked.append(exchange.request.path)
            await exchange.json(403, status(403, "Forbidden", "events is forbidden"))
            return True

        one.api.refuse = refuse
        for name in ("a", "b"):
            late = pod(name, phase="Pending", startTime="2026-01-01T00:00:00Z", conditions=[])
            late["status"]["containerStatuses"] = []
            await one.api.put(late)
            row = (await one.sandboxes()).get(name) or await one.until(name, SandboxState.STUCK)
            assert row is not None and row.state is SandboxState.STUCK
        assert len(asked) == 1
