"""What the owner has configured for the auction, as the seller's rules understand it."""

from appliance.core.config import AuctionConfig
from appliance.core.units import MIB, MicroBttPerMib, price_of
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.model import Terms
from appliance.domain.auction.reserve import Reserve

CEILING = MicroBttPerMib(10**12)


def terms_of(config: AuctionConfig, uplink: int, ledger: bytes) -> Terms:
    """The owner's offer; `uplink` is in bytes a second.

    The credit is at least what the uplink sends in a second: counted four times in it, nobody gets more
    than a quarter beyond.
    """
    return Terms(
        slots=config.slots,
        per_torrent=config.per_torrent,
        rule=Rule(config.rule),
        credit=max(config.credit * MIB, -(-uplink // MIB) * MIB),
        ledger=ledger,
    )


def reserve_of(config: AuctionConfig) -> Reserve:
    """The owner's reserve price: what is set is the floor, or the price itself."""
    floor = price_of(config.reserve)
    ceiling = price_of(config.ceiling) if config.ceiling else CEILING
    return Reserve(price=floor, floor=floor, ceiling=max(floor, ceiling), adaptive=config.reserve_moves)
