"""libtorrent's settings for a small device, each with its reason."""

from typing import Any

import libtorrent as lt

from appliance.core.config import NetworkConfig
from appliance.core.units import MIB, Bytes
from appliance.domain.governor.limits import Limits

PREAD = "pread_disk_io_constructor"
"""Disk back-end: mapping files (the other one) lets RSS follow the content, 572 MB against 36 MB for one
512 MiB file, and turns an I/O error of the disk into a SIGBUS that ends the process."""

_ENCRYPTION = {
    "allow": lt.enc_policy.pe_enabled,
    "require": lt.enc_policy.pe_forced,
    "off": lt.enc_policy.pe_disabled,
}


def engine_settings(
    network: NetworkConfig, limits: Limits, ram: Bytes, name: str, version: str
) -> dict[str, Any]:
    """All settings that differ from libtorrent's defaults."""
    return (
        _identity(name, version)
        | _network(network)
        | _throughput(ram)
        | _queue()
        | _manners(network)
        | limit_settings(limits)
    )


def limit_settings(limits: Limits) -> dict[str, Any]:
    """The settings that `Limits` drives while the box runs."""
    return {
        "upload_rate_limit": limits.upload_rate,
        "download_rate_limit": limits.download_rate,
        "connections_limit": limits.connections,
        "unchoke_slots_limit": limits.upload_slots,
        "active_downloads": limits.active_downloads if limits.writing else 0,
        # A download that stands still takes no other's turn; where nothing may be written, it has none.
        "dont_count_slow_torrents": limits.writing,
        "active_checking": limits.active_checks if limits.checking else 0,
    }


def shown_name(name: str, version: str) -> str:
    """What peers see as the client's name (BEP 10, key `v`)."""
    return f"{name}/{version}" if name.lower().startswith("seedbox") else f"Seedbox/{version} ({name})"


def _identity(name: str, version: str) -> dict[str, Any]:
    return {
        "user_agent": f"Seedbox/{version} libtorrent/{lt.__version__}",
        "handshake_client_version": shown_name(name, version),
        "peer_fingerprint": lt.generate_fingerprint("SX", 0, 1, 0, 0),
    }


def _network(network: NetworkConfig) -> dict[str, Any]:
    return {
        "listen_interfaces": listen_interfaces(network),
        "outgoing_interfaces": outgoing_interfaces(network),
        "enable_incoming_tcp": network.tcp,
        "enable_outgoing_tcp": network.tcp,
        "enable_incoming_utp": network.utp,
        "enable_outgoing_utp": network.utp,
        "enable_dht": network.dht,
        "enable_lsd": network.lsd,
        "enable_upnp": network.upnp,
        "enable_natpmp": network.natpmp,
        "in_enc_policy": _ENCRYPTION[network.encryption],
        "out_enc_policy": _ENCRYPTION[network.encryption],
        # Plain after the handshake where the peer lets us: RC4 costs about as much CPU as all the rest.
        "prefer_rc4": False,
        "allowed_enc_level": lt.enc_level.rc4 if network.encryption == "require" else lt.enc_level.both,
        # A port that is taken: try the next ten, then let the doctor say so; never one chosen by chance,
        # which no router rule would fit.
        "max_retry_port_bind": 10,
        "listen_system_port_fallback": False,
    }


def listen_interfaces(network: NetworkConfig) -> str:
    """The addresses to listen on, in libtorrent's form."""
    everywhere = ["0.0.0.0", "::"] if network.ipv6 else ["0.0.0.0"]  # noqa: S104
    hosts = map(_host, network.listen_addresses or everywhere)
    return ",".join(f"{host}:{network.listen_port}" for host in hosts)


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def outgoing_interfaces(network: NetworkConfig) -> str:
    """The addresses that TCP calls are made from, in libtorrent's form; empty: the system chooses.

    With addresses of its own the box must also call from them, or it is known by another one. But libtorrent
    takes the next of the list for each call, also where the peer is of the other family, and such a call
    fails. Over uTP it calls from where it listens, whatever this says.
    """
    families = {":" in ip for ip in network.listen_addresses}
    return ",".join(network.listen_addresses) if len(families) == 1 else ""


def _throughput(ram: Bytes) -> dict[str, Any]:
    """Settings that were measured in pairs by `make bench ARGS=upload`, four fast leechers on two cores.

    MiB uploaded per CPU-second against libtorrent's defaults, each step added to the one before it: one disk
    thread 1.25 times; reading 384 KiB ahead with 128 KiB unsent in the kernel 1.55; a fixed socket buffer of
    192 KiB 1.8 (of 256 KiB 1.6, of 128 KiB 2.2, but see below); reading 768 KiB ahead 2.0 to 2.3. RSS while
    uploading is 20 MB more than with the defaults, most of it Python's.
    """
    short = ram < 1024 * MIB
    ahead = 768 * 1024 if ram >= 2048 * MIB else 384 * 1024
    return {
        # One reader per device: more threads wake each other up (futex) and make a hard disk seek.
        "aio_threads": 1,
        "hashing_threads": 1,
        # Read well ahead of the socket, so that a read serves many blocks before the next wake-up: per peer
        # that is sent to, so half as much where RAM is short ...
        "send_buffer_low_watermark": ahead,
        "send_buffer_watermark": ahead + ahead // 3,
        "send_buffer_watermark_factor": 50,
        # ... and let the kernel hold more than 16 KiB unsent, so that it is filled in larger writes.
        "send_not_sent_low_watermark": 128 * 1024,
        # A fixed buffer (the kernel doubles it) instead of one that grows to 4 MB a peer and falls out of
        # the cache: 384 KiB in flight still make nearly 4 MB/s to one peer that is 100 ms away.
        "send_socket_buffer_size": 192 * 1024,
        # Blocks that wait for the disk; a slow card must push back before the RAM is full.
        "max_queued_disk_bytes": max(1 * MIB, min(16 * MIB, ram // 256)),
        # Memory for hashing one piece after another, in blocks of 16 KiB.
        "checking_mem_usage": 64 if short else 256,
        "file_pool_size": 40 if short else 200,
        # Peers that are only known, not connected: 100 bytes each, per torrent.
        "max_peerlist_size": 500 if short else 1_000,
        "max_paused_peerlist_size": 100,
    }


def _queue() -> dict[str, Any]:
    return {
        # Every complete torrent seeds; only downloads and checks wait for their turn.
        "active_seeds": -1,
        "active_limit": -1,
        "active_tracker_limit": -1,
        "active_dht_limit": 400,
        "active_lsd_limit": 60,
        # The default (once a minute) would leave a queued download waiting for half a minute.
        "auto_manage_interval": 10,
        "alert_queue_size": 40_000,
        "alert_mask": ALERTS,
    }


def _manners(network: NetworkConfig) -> dict[str, Any]:
    return {
        # BEP 12 means one tracker of a tier: the next one is for when it fails. Each tier, which is how links
        # and most torrents name trackers that know different peers, is asked only where the owner says so.
        "announce_to_all_trackers": network.announce_to_all_trackers,
        "announce_to_all_tiers": network.announce_to_all_trackers,
        # One host, one connection: a single peer must not take every slot.
        "allow_multiple_connections_per_ip": False,
        # Bounded time for those that connect and say nothing.
        "handshake_timeout": 10,
        "peer_timeout": 60,
        "max_metadata_size": 32 * MIB,
        "max_failcount": 3,
        # A tracker gets 15 s for its whole answer and may send 256 KiB: room for 40,000 peers.
        "tracker_completion_timeout": 30,
        "tracker_receive_timeout": 15,
        "tracker_maximum_response_length": 256 * 1024,
        "stop_tracker_timeout": 3,
        # Seed those first who pass data on the fastest, and change every so often.
        "seed_choking_algorithm": lt.seed_choking_algorithm_t.fastest_upload,
        # Peers that want nothing from a seed, and seeds among themselves, only hold connections.
        "close_redundant_connections": True,
        "rate_limit_ip_overhead": True,
        "ssrf_mitigation": True,
        "validate_https_trackers": True,
        "enable_ip_notifier": True,
        "no_atime_storage": True,
    }


ALERTS = (
    lt.alert_category.error
    | lt.alert_category.status
    | lt.alert_category.storage
    | lt.alert_category.port_mapping
    | lt.alert_category.dht_operation
)
