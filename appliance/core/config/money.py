"""Tables of the file about money: wallet, slot auction, and the ledger and gateway of an operator."""

from decimal import Decimal
from typing import Annotated, Literal

from appliance.core.config.table import Table, decimal, filled, key, whole

_UBTT_PER_MIB = Decimal("0.001024")
"""BTT/GiB that one µBTT/MiB is."""


class WalletConfig(Table, frozen=True, kw_only=True):
    """The box's own money."""

    ledger: Annotated[
        str,
        key(
            "Ledger that keeps the box's account, such as https://host. Empty: none; `seedbox run` then "
            "keeps a small one itself, to try things out."
        ),
    ] = ""


class AuctionConfig(Table, frozen=True, kw_only=True):
    """Selling upload slots, and bidding for the slots of others. Needs an account at a ledger."""

    sell: Annotated[
        bool, key("Sell upload slots to the highest bidders. Everyone else shares the free part.")
    ] = False
    slots: Annotated[int, whole("Slots for sale.", 1, 28)] = 5
    per_torrent: Annotated[int, whole("Slots for sale per torrent.", 0, 28, "0 = all")] = 0
    rule: Annotated[Literal["lowest-winning", "highest-losing"], key("The price that all winners pay.")] = (
        "lowest-winning"
    )
    free_share: Annotated[
        int, whole("Kept for peers that do not bid, while slots are sold.", 1, 90, "% of the upload limit")
    ] = 20
    reserve: Annotated[Decimal, decimal("Minimum price.", 10**9, "BTT per GiB", was=_UBTT_PER_MIB)] = Decimal(
        "0.1"
    )
    reserve_moves: Annotated[
        bool, key("Raise the minimum price with demand, and lower it to `reserve` again without.")
    ] = True
    ceiling: Annotated[
        Decimal,
        decimal(
            "The minimum price never rises above this.", 10**9, "BTT per GiB, 0 = no limit", was=_UBTT_PER_MIB
        ),
    ] = Decimal(0)
    credit: Annotated[
        int, whole("Data sent before it is paid for. More fills faster lines.", 1, 1_024, "MiB")
    ] = 4
    buy_price: Annotated[
        Decimal,
        decimal(
            "Bid automatically up to this price for everything that is downloading.",
            10**9,
            "BTT per GiB, 0 = never bid automatically",
            was=_UBTT_PER_MIB,
        ),
    ] = Decimal(0)
    buy_budget: Annotated[int, whole("Maximum to spend on downloads per day (UTC).", 0, 10**9, "BTT")] = 10
    buy_hours: Annotated[
        int,
        whole(
            "Bid automatically only if the download would otherwise take longer than this.",
            0,
            10_000,
            "hours after it was added, 0 = always bid",
        ),
    ] = 0
    port: Annotated[int, whole("TCP port of the market, where others place their bids.", 1, 65_535)] = 6882


class LedgerConfig(Table, frozen=True, kw_only=True):
    """The ledger that `seedbox ledger` keeps for others."""

    name: Annotated[str, filled("Name of the ledger, for people.", most=60)] = "ledger"
    database: Annotated[
        str,
        filled(
            "A file in the state folder, or a postgresql:// URL. Keep its password in the file that "
            "PGPASSFILE names."
        ),
    ] = "ledger.db"
    address: Annotated[str, filled("IP address that the ledger listens on.")] = "127.0.0.1"
    port: Annotated[int, whole("Port of the ledger.", 1, 65_535)] = 8090
    payout_lock: Annotated[
        int, whole("How long a change of an account's payout address is held back.", 0, 720, "hours")
    ] = 24


class GatewayConfig(Table, frozen=True, kw_only=True):
    """The connection between that ledger and TRON, for `seedbox settle`."""

    nodes: Annotated[
        tuple[str, ...], key("TRON full nodes, such as http://127.0.0.1:8091, tried in this order.")
    ] = ()
    solidity_nodes: Annotated[
        tuple[str, ...], key("TRON solidity nodes, if their addresses differ from the full nodes.")
    ] = ()
    asset: Annotated[
        str,
        key(
            "The token: the id of a TRC-10 token, or the address of a TRC-20 contract.",
            pattern=r"^([1-9][0-9]{0,18}|T[1-9A-HJ-NP-Za-km-z]{33})$",
        ),
    ] = "1002000"
    decimals: Annotated[int, whole("Decimals of the token: 6 for TRC-10 BTT, 18 for TRC-20 BTT.", 6, 30)] = 6
    most_each: Annotated[int, whole("Maximum per withdrawal.", 0, 10**12, "BTT, 0 = no limit")] = 0
    most_a_day: Annotated[
        int,
        whole("Maximum for all withdrawals in 24 hours. More has to wait.", 0, 10**12, "BTT, 0 = no limit"),
    ] = 0
    allow: Annotated[
        tuple[str, ...], key("Addresses that withdrawals may go to. Empty allows every address.")
    ] = ()
    keystore: Annotated[
        str, filled("The wallet's encrypted key file. A relative path starts at the state folder.")
    ] = "wallet.json"
