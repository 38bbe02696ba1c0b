"""What each command of the panel does: the seam between control/machine.py and the box."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from appliance.control import machine as api
from appliance.control.command import Route
from appliance.core.errors import OwnerMustAct, SeedboxError
from appliance.core.files import write_durably
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.doctor.model import Finding, Verdict
from appliance.entrypoints.daemon.box import Box

Light = Literal["well", "busy", "needs-you", "sold-out"]


class PanelHandlers:
    """One method a command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.GetPanel.answered_by(self.get_panel),
            api.ShowYourself.answered_by(self.show_yourself),
            api.ShutDown.answered_by(self.shut_down),
            api.ResetSettings.answered_by(self.reset_settings),
        ]

    async def get_panel(self, _: api.GetPanel) -> api.PanelAnswer:
        """What the light is to show."""
        box = self._box
        selling = box.trading.selling if box.trading else None
        served = selling.seller.served.values() if selling else ()
        light, why = light_of(
            box.health.findings,
            Counter(torrent.state for torrent in box.catalogue.all()),
            sold=sum(not one.lease.ended for one in served),
            slots=selling.seller.terms.slots if selling else 0,
        )
        return api.PanelAnswer(light=light, sentence=why or box.overview.sentence())

    async def show_yourself(self, _: api.ShowYourself) -> api.Done:
        """Say in the events which box it is."""
        said = "Someone pressed the button on this box."
        self._box.journal.info(said)
        return api.Done(sentence=said)

    async def shut_down(self, _: api.ShutDown) -> api.Done:
        """Have systemd end the box in order and switch the machine off, or else end the box alone."""
        self._box.journal.info("Shutdown requested.")
        return api.Done(sentence=await self._box.switch_off())

    async def reset_settings(self, _: api.ResetSettings) -> api.Done:
        """Forget limits, prices and the page's password. Torrents, data, keys and money are not touched."""
        box = self._box
        try:
            # The group reads it: the page's process is another user's.
            word = secrets.token_hex(16).encode()
            await asyncio.to_thread(write_durably, box.state.page_reset, word, 0o640)
        except OSError as error:
            raise OwnerMustAct(
                f"The page's password cannot be reset: writing {box.state.page_reset} failed ({error})."
            ) from error
        await box.limits.reset()
        await box.governing.override(0)
        said = "All settings are back to the configuration, and the page asks for a new claim code."
        if box.trading:
            try:
                await box.trading.change({}, reset=True)
            except SeedboxError as error:
                # Forgotten all the same; the port that the configuration names is taken, for one.
                said += f" {error}"
        box.journal.warning(f"Settings reset. {said}")
        return api.Done(sentence=said)


def light_of(
    findings: Sequence[Finding], states: Mapping[TorrentState, int], *, sold: int, slots: int
) -> tuple[Light, str]:
    """What the light shows, and why, where that is more than the box's own sentence: the worst comes first.

    `sold` of `slots` slots are leased; no slots: none are offered.
    """
    for finding in findings:
        if finding.verdict is Verdict.ERROR:
            return "needs-you", finding.text
    if failed := states.get(TorrentState.FAILED, 0):
        return "needs-you", f"{failed} torrent{'s need' if failed > 1 else ' needs'} attention; see the page."
    # Without any finding the box has not yet looked at itself: it has only just started.
    if not findings or states.get(TorrentState.CHECKING, 0):
        return "busy", ""
    if 0 < slots <= sold:
        return "sold-out", f"All {slots} slots are sold." if slots > 1 else "The only slot is sold."
    return "well", ""
