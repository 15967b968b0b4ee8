"""What panes of arriving rows share: the badge that says whether they follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import events

from widgets.panes.binding_rows import keys_of
from widgets.panes.table_pane import TablePane
from widgets.table.stream_table import StreamTable
from widgets.text.cell_text import Part

KEPT = 2000
"""Rows a stream holds at most; the oldest go first."""


class StreamPane(TablePane):
    """Tables that follow what arrives until the operator looks back."""

    def tables(self) -> Sequence[StreamTable[Any, Any]]:
        """The tables, the first of them being the one that gets the focus."""
        raise NotImplementedError

    @property
    def following(self) -> bool:
        """Whether every shown table stays at its newest row."""
        return all(table.following for table in self.tables() if table.display)

    @property
    def unseen(self) -> int:
        """Rows that arrived in the shown tables since they were paused."""
        return sum(table.unseen for table in self.tables() if table.display)

    def follow(self) -> None:
        """Stay with the newest rows."""
        for table in self.tables():
            table.follow()

    def pause(self) -> None:
        """Stay with the rows that are there."""
        for table in self.tables():
            table.pause()

    def badge_parts(self) -> list[Part]:
        """FOLLOWING, or PAUSED with how much is new."""
        if self.following:
            return [("▼ FOLLOWING", "dim")]
        parts: list[Part] = [("‖ PAUSED", "warn")]
        if self.unseen:
            parts += [(" ", ""), (f" +{self.unseen} new ", "$text on $accent 50%")]
        key = keys_of(self.screen, "stream.follow") if self.is_attached else ""
        return [*parts, (f" {key} follows", "dim")] if key else parts

    def on_click(self, event: events.Click) -> None:
        """A click on the title follows again: that is where the new rows are counted."""
        title = self._border_title
        if event.widget is self and event.y == 0 and title and event.x < title.cell_length + 4:
            self.follow()

    def on_stream_table_follow_changed(self, event: StreamTable.FollowChanged) -> None:
        """Tables of one pane follow or pause together; the badge says so."""
        event.stop()
        for table in self.tables():
            if table.following is not event.stream.following:
                if event.stream.following:
                    table.follow()
                else:
                    table.pause()
        self.retitle()
