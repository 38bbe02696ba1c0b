"""What can be said of the box as a whole at this moment, in numbers and in one sentence."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from appliance.adapters.engine.session import LibtorrentEngine
from appliance.core.clock import Clock
from appliance.core.config import NetworkConfig
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.summary import sentence
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.doctor.facts import NetworkFacts
from appliance.services.machine.meter import Meter
from appliance.services.machine.volumes import VolumeGuard


class Overview:
    """The box as a whole."""

    def __init__(
        self, clock: Clock, catalogue: Catalogue, meter: Meter, engine: LibtorrentEngine, volumes: VolumeGuard
    ) -> None:
        self._clock, self._catalogue, self._meter = clock, catalogue, meter
        self._engine, self._volumes = engine, volumes
        self._started = clock.mono()

    @property
    def mounted(self) -> bool:
        """Whether the main content folder is there."""
        return self._volumes.main.present

    def uptime_s(self) -> int:
        """Seconds since this process began to work."""
        return (self._clock.mono() - self._started) // 1_000_000_000

    def sentence(self) -> str:
        """The box in one sentence."""
        return sentence(
            Counter(torrent.state for torrent in self._catalogue.all()),
            self._meter.up_rate,
            self._meter.down_rate,
            mounted=self.mounted,
            listening=bool(self._engine.network.listening),
        )

    def network_facts(self, config: NetworkConfig, watch: Path | None) -> NetworkFacts:
        """What the doctor must know of the network, and of the watch folder where there is one."""
        network = self._engine.network
        return NetworkFacts(
            wanted_port=config.listen_port,
            ports=tuple(port for _, port in network.listening),
            listen_errors=tuple(network.listen_errors.values()),
            mapped=tuple(network.mapped),
            map_errors=tuple(network.map_errors),
            mapping_wanted=config.upnp or config.natpmp,
            incoming=network.incoming,
            dht_nodes=network.dht_nodes if config.dht else None,
            uptime_s=self.uptime_s(),
            watch=str(watch or ""),
            watch_exists=watch is not None and watch.is_dir(),
        )


def states_of(torrents: Iterable[Torrent]) -> dict[str, int]:
    """The number of torrents in each state, by its name; every state is there."""
    counts = Counter(torrent.state for torrent in torrents)
    return {state.value: counts.get(state, 0) for state in TorrentState}
