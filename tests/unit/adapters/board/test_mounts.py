"""Which file system a folder lies on, by the kernel's files: recorded ones, and this machine's own."""

import os
import subprocess
from pathlib import Path

import pytest

from appliance.adapters.board.mounts import Mounts
from tests.support.until import until

# Formats: proc(5), mountinfo; Linux: Documentation/filesystems/proc.rst, 3.5.
MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw
27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
31 27 8:1 / /mnt/disk1 rw,relatime shared:30 master:2 - made-up4 /dev/sda1 rw,errors=remount-ro
32 27 8:17 / /mnt/my\\040disk ro,relatime - made-up4 /dev/sdb1 rw
33 27 8:33 / /mnt/broken rw,relatime - made-up4 /dev/sdc1 rw,emergency_ro
34 27 8:49 / /mnt/pulled rw,relatime - made-up4 /dev/sdd1 rw
35 27 254:0 / /mnt/crypt rw,relatime - made-up4 /dev/mapper/crypt rw
36 27 0:44 /@data /mnt/raid rw,relatime - btrfs /dev/sdf1 rw,subvolid=256
37 27 0:50 / /mnt/stack rw - tmpfs lower rw
38 37 8:1 / /mnt/stack rw - made-up4 /dev/sda1 ro
39 27 8:65 / /mnt/given\\134up rw - ext4 /dev/sde1 rw,shutdown
nonsense
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The kernel's files of a Raspberry Pi with some USB drives; /dev/sdd was pulled while it was mounted."""
    root = tmp_path / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(MOUNTINFO)
    for folder in ("sys/dev/block", "sys/class/block", "dev/disk/by-uuid", "dev/mapper"):
        (root / folder).mkdir(parents=True)
    parts = {"179:2": "mmcblk0/mmcblk0p2", "8:1": "sda/sda1", "8:17": "sdb/sdb1", "8:33": "sdc/sdc1"}
    parts |= {"8:81": "sdf/sdf1", "8:65": "sde/sde1"}
    for number, name in parts.items():
        block = root / "sys/devices" / name
        block.mkdir(parents=True)
        (block / "partition").write_text("1\n")
        (block.parent / "device").mkdir(exist_ok=True)
        link(root / "sys/class/block" / block.parent.name, block.parent)
        link(root / "sys/dev/block" / number, block)
        link(root / "sys/class/block" / block.name, block)
        (root / "dev" / block.name).touch()
    mapped = root / "sys/devices/dm-0"
    (mapped / "slaves").mkdir(parents=True)
    link(mapped / "slaves/sdb1", root / "sys/devices/sdb/sdb1")
    link(mapped / "slaves/sdc1", root / "sys/devices/sdc/sdc1")
    link(root / "sys/dev/block/254:0", mapped)
    link(root / "sys/class/block/dm-0", mapped)
    (root / "dev/dm-0").touch()
    link(root / "dev/mapper/crypt", root / "dev/dm-0")
    for uuid, device in (("0a1b-disk1", "sda1"), ("1234-ABCD", "sdb1"), ("5e6f-crypt", "dm-0")):
        link(root / "dev/disk/by-uuid" / uuid, root / "dev" / device)
    return root


def link(where: Path, to: Path) -> None:
    where.symlink_to(os.path.relpath(to, where.parent))


def test_a_folder_lies_on_the_deepest_mount_above_it(tree: Path) -> None:
    mounts = Mounts(tree)
    for path in ("/mnt/disk1", "/mnt/disk1/seedbox/new"):
        found = mounts.of(Path(path))
        assert found is not None
        assert (found.point, found.device, found.kind) == ("/mnt/disk1", "/dev/sda1", "made-up4")
        assert (found.uuid, found.drives) == ("0a1b-disk1", ("/dev/sda",))
        assert found.attached
        assert not found.read_only
    beside = mounts.of(Path("/mnt/disk10"))
    assert beside is not None
    assert beside.point == "/"


def test_the_device_of_the_root_is_named_by_its_number(tree: Path) -> None:
    found = Mounts(tree).of(Path("/home"))
    assert found is not None
    assert (found.device, found.drives) == ("/dev/mmcblk0p2", ("/dev/mmcblk0",))


def test_of_two_mounts_on_one_point_the_later_counts(tree: Path) -> None:
    found = Mounts(tree).of(Path("/mnt/stack/folder"))
    assert found is not None
    assert found.device == "/dev/sda1"
    assert found.read_only, "the file system's own option"


@pytest.mark.parametrize(
    ("path", "read_only", "attached"),
    [
        ("/mnt/disk1", False, True),
        ("/mnt/my disk", True, True),
        ("/mnt/broken", True, True),
        ("/mnt/pulled", False, False),
        ("/mnt/given\\up", False, False),
        ("/mnt/raid", False, True),
    ],
)
def test_what_cannot_be_written_or_has_lost_its_device_is_told(
    tree: Path, path: str, read_only: bool, attached: bool
) -> None:
    found = Mounts(tree).of(Path(path))
    assert found is not None
    assert (found.read_only, found.attached) == (read_only, attached)


def test_a_drive_of_btrfs_that_was_pulled_is_told_by_its_name(tree: Path) -> None:
    (tree / "sys/class/block/sdf1").unlink()
    found = Mounts(tree).of(Path("/mnt/raid"))
    assert found is not None
    assert not found.attached


def test_under_an_encrypted_or_joined_device_are_all_its_drives(tree: Path) -> None:
    found = Mounts(tree).of(Path("/mnt/crypt"))
    assert found is not None
    assert found.drives == ("/dev/sdb", "/dev/sdc")
    assert found.uuid == "5e6f-crypt"


def test_what_cannot_be_read_is_unknown_and_never_gone(tmp_path: Path, tree: Path) -> None:
    assert Mounts(tmp_path / "nothing").of(Path("/mnt/disk1")) is None
    bare = tmp_path / "bare"
    (bare / "proc/self").mkdir(parents=True)
    (bare / "proc/self/mountinfo").write_text(MOUNTINFO)
    found = Mounts(bare).of(Path("/mnt/disk1"))
    assert found is not None
    assert (found.uuid, found.drives, found.attached) == ("", (), True)


def test_this_machine_tells_the_uuid_that_blkid_knows(tmp_path: Path) -> None:
    found = Mounts().of(tmp_path)
    assert found is not None
    told = subprocess.run(
        ["blkid", "-s", "UUID", "-o", "value", found.device], capture_output=True, text=True
    )
    if told.returncode or not told.stdout.strip():
        pytest.skip(f"blkid may not read {found.device} here")
    assert found.uuid == told.stdout.strip()


def test_a_mount_and_its_end_wake_at_once(tmp_path: Path) -> None:
    import select

    watch = Mounts().watch()

    def changed() -> bool:
        return bool(select.select([watch], [], [], 0)[0])

    point = tmp_path / "point"
    point.mkdir()
    try:
        watch.drain()
        if subprocess.run(["mount", "-t", "tmpfs", "none", point], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            until(changed, "the mount", 2)
            watch.drain()
        finally:
            subprocess.run(["umount", point], check=True)
        until(changed, "its end", 2)
    finally:
        watch.close()
