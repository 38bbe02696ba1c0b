"""Where an account's money may leave to: one address, and time to notice when somebody changes it."""

from dataclasses import dataclass

from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address
from appliance.core.units import UtcMs


@dataclass(frozen=True, slots=True)
class Payout:
    """The payout address of an account."""

    address: Address
    since: UtcMs
    """It is in force from then on ..."""
    before: Address | None = None
    """... and this one until then."""

    def at(self, now: UtcMs) -> Address | None:
        """The address in force."""
        return self.address if now >= self.since else self.before


def change(payout: Payout | None, to: Address, now: UtcMs, lock_ms: int) -> Payout:
    """Another address, in force after the time lock; the first one is at once, and so is going back.

    Who changes it again while a change waits changes what is waited for, and the wait begins anew.
    """
    if payout is None:
        return Payout(to, now)
    present = payout.at(now)
    if to == present:
        return Payout(to, min(now, payout.since))
    if to == payout.address:
        return payout
    return Payout(to, UtcMs(now + lock_ms), present)


def allowed(payout: Payout | None, to: Address, now: UtcMs) -> None:
    """Make sure that money may leave to an address. Raises OwnerMustAct."""
    if payout is None:
        raise OwnerMustAct("No payout address is set. Set it first: seedbox wallet payout ADDRESS")
    if payout.at(now) != to:
        raise OwnerMustAct(
            f"Withdrawals can only go to the payout address {payout.at(now)}. To change it, run "
            "`seedbox wallet payout ADDRESS`, and is in force after a while."
        )
