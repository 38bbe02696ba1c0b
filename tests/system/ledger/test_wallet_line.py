"""A box's wallet at a ledger over HTTP: what tests/unit/domain/wallet/ has directly."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.adapters.store.database import Database
from appliance.adapters.store.wallet import WalletMemory
from appliance.core.units import MicroBtt
from appliance.domain.wallet.keeper import WalletKeeper
from appliance.domain.wallet.model import Purpose
from appliance.domain.wallet.ports import LedgerAccount
from appliance.domain.wallet.wallet import Wallet
from tests.support.account import DirectLedger, Heard
from tests.system.ledger.test_operator import HOUR, PAYER, SELLER, Service

Fresh = Callable[[], str]


@pytest.fixture
def service(fresh: Fresh) -> Iterator[Service]:
    running = Service(fresh())
    yield running
    running.close()


@pytest.mark.parametrize("direct", [False, True], ids=["http", "direct"])
def test_two_boxes_deal_with_each_other(service: Service, tmp_path: Path, direct: bool) -> None:
    """The contract of wallet.ports.Ledger, on the client that boxes use and on the stand-in."""
    service.credit(PAYER, 10_000)

    async def deal() -> None:
        boxes, heard = [], Heard()
        for key in (PAYER, SELLER):
            line: LedgerAccount = (
                DirectLedger(service.operator, key, service.clock) if direct else service.client(key)
            )
            database = Database(tmp_path / f"{key.address}.db", check=False)
            memory = WalletMemory(database, service.operator.id, service.clock)
            wallet = Wallet(key, line, memory)
            await wallet.load()
            boxes.append((wallet, WalletKeeper(wallet, heard), database))
        (payer, paying, one), (seller, selling, other) = boxes
        for keeper in (paying, selling):
            await keeper.round()
        hold = await payer.hold(MicroBtt(3_000))
        held = await payer.open_channel(hold, SELLER.address, MicroBtt(3_000), 24 * HOUR, Purpose.DOWNLOADING)
        id = held.channel.id
        await seller.adopt(id, Purpose.DISTRIBUTION)
        for paid in (1_000, 2_000, 2_750):
            await seller.accept_state(id, await payer.pay(id, MicroBtt(paid), "ab" * 20), "ab" * 20)
        await seller.close_channel(id)
        for keeper in (paying, selling):
            await keeper.round()
        assert (await payer.store.sums()).balance == 7_250
        assert (await seller.store.sums()).balance == 2_750
        assert payer.channels == seller.channels == []
        for wallet in (payer, seller):
            await wallet.verify()
            wallet.close()
        one.close()
        other.close()
        assert all("Collected" in text for text in heard.texts), heard.texts

    asyncio.run(deal())
