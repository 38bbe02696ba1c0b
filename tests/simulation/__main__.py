"""`make simulate`: the report on the auction, with its figures and plots, in artefacts/auction."""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from appliance.core.units import MicroBttPerMib
from appliance.domain.auction.clearing import Rule
from tests.simulation.market import ROUND_S, Manner, Outcome, Peer, Sells, World, over_seeds, simulate

FOLDER = Path("artefacts/auction")
POSTED = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
FREE = (5, 10, 20, 30, 50)
BTT = 1e6
_Measure = Callable[[Outcome], float]


class Report:
    """Words and pictures, as they come."""

    def __init__(self, seeds: int, rounds: int) -> None:
        self.world, self.seeds = World(rounds=rounds), seeds
        self.lines = [
            "# The slot auction, simulated",
            "",
            f"One seller of {self.world.uplink >> 20} MiB/s with {self.world.slots} slots; {rounds} rounds "
            f"of {ROUND_S} s; {self.world.arrivals} peers a round, half of them bidders whose value of a MiB "
            f"is log-normal about 4,900 µBTT. Each figure is the median of {seeds} seeds. "
            "`make simulate` makes this report again, to the digit.",
            "",
        ]

    def measure(self, measure: _Measure, **changes: Any) -> float:
        """The median over the seeds."""
        return over_seeds(replace(self.world, **changes), self.seeds, measure)

    def table(self, title: str, head: list[str], rows: list[list[str]], says: str) -> None:
        """A heading, a table, and what follows from it."""
        self.lines += [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        self.lines += ["| " + " | ".join(row) + " |" for row in rows]
        self.lines += ["", says, ""]

    def picture(self, name: str, figure: Figure) -> None:
        """A plot beside the text."""
        figure.tight_layout()
        figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        self.lines += [f"![{name}]({name}.svg)", ""]

    # ------------------------------------------------------------------------------------ experiments

    def revenue(self) -> None:
        """Against posted prices, and against slots by chance."""
        earned: _Measure = lambda one: one.revenue / BTT  # noqa: E731
        sold: _Measure = lambda one: 100 * one.sold / max(1, one.sent)  # noqa: E731
        rows, posted = [], []
        for rule in Rule:
            rows.append([rule.value, *(f"{self.measure(what, rule=rule):.0f}" for what in (earned, sold))])
        for price in POSTED:
            told = {"sells": Sells.POSTED, "posted": MicroBttPerMib(price)}
            posted.append(self.measure(earned, **told))
            rows.append([f"posted at {price}", f"{posted[-1]:.0f}", f"{self.measure(sold, **told):.0f}"])
        rows.append(["random slots", "0", "0"])
        best = max(posted)
        auction = float(rows[0][1])
        self.table(
            "Revenue",
            ["seller", "BTT", "% of the bytes that were paid for"],
            rows,
            f"By the lowest winning bid the auction earns {auction / best:.2f} times what the best of these "
            f"posted prices earns, and {auction / statistics.median(posted):.1f} times what the middle one "
            "does; nobody has to know which that is.",
        )
        figure, axes = plt.subplots(figsize=(7, 3.5))
        axes.semilogx(POSTED, posted, "o-", label="posted price")
        for rule, row in zip(Rule, rows, strict=False):
            colour = "tab:orange" if rule is Rule.LOWEST_WINNING else "tab:green"
            axes.axhline(float(row[1]), color=colour, ls="--", label=rule.value)
        axes.set(xlabel="posted price, µBTT/MiB", ylabel="revenue, BTT", ylim=(0, None))
        axes.legend()
        self.picture("revenue", figure)

    def waiting(self) -> None:
        """What it does to those who pay, and to those who do not."""
        rows = []
        for name, changes in (
            ("lowest winning bid", {}),
            ("highest losing bid", {"rule": Rule.HIGHEST_LOSING}),
            ("random slots", {"sells": Sells.RANDOM}),
        ):
            values = [
                self.measure(what, **changes)
                for what in (
                    lambda one: one.completion(True),
                    lambda one: one.completion(False),
                    lambda one: one.fairness,
                )
            ]
            rows.append([name, f"{values[0]:.0f}", f"{values[1]:.0f}", f"{values[2]:.2f}"])
        self.table(
            "Waiting for 100 MiB",
            ["seller", "bidders, s", "others, s", "Jain's fairness among the others"],
            rows,
            "Who pays waits a fraction of what everybody waits without an auction; who does not pay waits "
            "longer than that, and is not shut out.",
        )

    def free_share(self) -> None:
        """How much is kept for those who do not bid."""
        revenue = [self.measure(lambda one: one.revenue / BTT, free_percent=share) for share in FREE]
        waits = [self.measure(lambda one: one.completion(False), free_percent=share) for share in FREE]
        self.table(
            "The free share",
            ["% of the uplink", "revenue, BTT", "others wait for 100 MiB, s"],
            [[str(s), f"{r:.0f}", f"{w:.0f}"] for s, r, w in zip(FREE, revenue, waits, strict=True)],
            "Less to sell is sold dearer, so that the revenue hardly depends on the share; the others' wait "
            "does. The default is 20 %.",
        )
        figure, axes = plt.subplots(figsize=(7, 3.5))
        axes.plot(FREE, revenue, "o-", label="revenue, BTT")
        other = axes.twinx()
        other.plot(FREE, waits, "s--", color="tab:red", label="others wait, s")
        axes.set(xlabel="free share, %", ylabel="revenue, BTT", ylim=(0, 1.1 * max(revenue)))
        other.set(ylabel="others wait for 100 MiB, s", ylim=(0, 1.1 * max(waits)))
        axes.legend(loc="lower left")
        other.legend(loc="lower right")
        self.picture("free-share", figure)

    def prices(self) -> None:
        """How they move."""
        figure, axes = plt.subplots(figsize=(7, 3.5))
        rows = []
        for rule in Rule:
            one = simulate(replace(self.world, rule=rule))
            axes.plot([price / 1_000 for price in one.prices], lw=0.8, label=rule.value)
            moves = self.measure(lambda one: 100 * one.stability, rule=rule)
            middle = self.measure(lambda one: statistics.median(one.prices), rule=rule)
            rows.append([rule.value, f"{middle:.0f}", f"{moves:.0f}"])
        axes.set(xlabel="round", ylabel="price, 1,000 µBTT/MiB", ylim=(0, None))
        axes.legend()
        self.table(
            "Prices",
            ["rule", "median, µBTT/MiB", "mean change a round, % of the mean"],
            rows,
            "Where few bid, each that comes or goes moves the price; a lease keeps its price for a round.",
        )
        self.picture("prices", figure)

    def manipulation(self) -> None:
        """What those gain who do not play by the rules: the same bidders on the same day, twice."""
        rows = []
        for manner in (Manner.SHADES, Manner.FALSE_NAMES, Manner.CHEATS):
            for rule in Rule:
                gains, lost = [], []
                for seed in range(1, self.seeds + 1):
                    day = replace(self.world, seed=seed, rule=rule)
                    honest, other = simulate(day), simulate(replace(day, watched=manner))
                    gains.append(100 * (other.surplus_of_watched() / honest.surplus_of_watched() - 1))
                    lost.append(100 * other.lost / max(1, other.revenue + other.lost))
                middle = [f"{statistics.median(gains):+.0f}", f"{statistics.median(lost):.1f}"]
                rows.append([manner.value, rule.value, *middle])
        self.table(
            "Manners",
            ["one bidder in ten", "rule", "its surplus against being honest, %", "% of the revenue lost"],
            rows,
            "The same bidders on the same day, once honest and once not. A cheat gets one credit window, and "
            "is not heard again.",
        )

    def budgets(self) -> None:
        """Pacing."""
        told = {"manners": (Manner.HONEST, Manner.PACED)}

        def paced(one: Outcome) -> list[Peer]:
            return [peer for peer in one.peers if peer.manner is Manner.PACED]

        def used(one: Outcome) -> float:
            return 100 * statistics.mean(peer.paid / max(1, peer.budget) for peer in paced(one))

        def over(one: Outcome) -> float:
            return max(peer.paid - peer.budget for peer in paced(one))

        def surplus(manner: Manner) -> str:
            return f"{self.measure(lambda one: one.surplus_per_mib(manner), **told):.0f}"

        self.table(
            "Budgets",
            ["measure", "value"],
            [
                ["budget used, mean %", f"{self.measure(used, **told):.0f}"],
                ["most that a bidder has paid beyond its budget, µBTT", f"{self.measure(over, **told):.0f}"],
                ["surplus of paced bidders, µBTT a MiB", surplus(Manner.PACED)],
                ["surplus of those without a budget", surplus(Manner.HONEST)],
            ],
            "A budget is half of what the file is worth to its bidder.",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1_440)
    told = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    mpl.rcParams["svg.hashsalt"] = "auction"
    report = Report(told.seeds, told.rounds)
    for part in (
        report.revenue,
        report.waiting,
        report.free_share,
        report.prices,
        report.manipulation,
        report.budgets,
    ):
        part()
        print(f"{part.__name__}: done", flush=True)
    (FOLDER / "report.md").write_text("\n".join(report.lines))
    print(FOLDER / "report.md")


if __name__ == "__main__":
    main()
