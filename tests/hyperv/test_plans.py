"""What a driver is told, and the small decisions that need no host."""

import base64
import io
import ipaddress

import pytest
from PIL import Image

from hyperv.errors import HyperVError
from hyperv.guest_paths import guest_path
from hyperv.plans import Addresses, AddressesError, VmPlan
from hyperv.refusals import refusal
from hyperv.screens import png_of
from hyperv.sightings import by_name, seen
from tzar_actors.drivers.base import PowerState

HOME = r"C:\ProgramData\tzar-agent"


def addresses(first, last, **given):
    return Addresses(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last), 24, **given)


def test_a_vm_has_the_address_of_the_number_in_its_name_counted_round():
    guests = addresses("192.168.77.11", "192.168.77.14")
    given = [guests.of(f"tzar-{number:02d}") for number in range(1, 6)]
    assert given == [f"192.168.77.{last}" for last in (11, 12, 13, 14, 11)]


def test_the_gateway_is_given_only_where_there_is_one():
    assert addresses("10.0.0.2", "10.0.0.9").parameters("vm-1")["Gateway"] is None
    assert addresses("10.0.0.2", "10.0.0.9", gateway="10.0.0.1").parameters("vm-1") == {
        "Address": "10.0.0.2",
        "PrefixLength": 24,
        "Gateway": "10.0.0.1",
    }


def test_a_vm_without_a_number_has_no_address():
    with pytest.raises(AddressesError, match="does not end in a number"):
        addresses("10.0.0.2", "10.0.0.9").of("theirs")


def test_static_memory_is_told_without_a_least_and_a_most():
    given = VmPlan(r"C:\t.vhdx", r"C:\vms", "tzar", secure_boot="").parameters()
    assert (given["DynamicMemory"], given["MinimumMemoryMB"], given["MaximumMemoryMB"]) == (False, None, None)
    assert (given["SecureBoot"], given["SecureBootTemplate"]) == ("Off", None)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("games/1.map", HOME + r"\games\1.map"),
        (r"games\1.map", HOME + r"\games\1.map"),
        ("C:/games/1.map", r"C:\games\1.map"),
        (r"D:\1.map", r"D:\1.map"),
        ("...", HOME + r"\..."),
    ],
)
def test_a_path_in_a_guest_is_taken_from_the_agents_home_unless_it_is_a_full_one(target, path):
    assert guest_path(target, HOME) == path


@pytest.mark.parametrize(
    "target",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        r"C:\a\..\x",
        "/x",
        r"\x",
        "C:x",
        r"\\other\share\x",
        "a:stream",
        "C:\\",
        "a*",
    ],
)
def test_what_does_not_lie_in_a_guest_is_no_path_there(target):
    assert guest_path(target, HOME) is None


def row(name, **given):
    return {
        "Name": name,
        "Id": f"id of {name}",
        "State": "Running",
        "Heartbeat": "OkApplicationsHealthy",
        "UptimeSeconds": 61.7,
        "MemoryAssignedBytes": 512 * 2**20,
        "DiskBytes": 3 * 2**20,
        "Incarnation": 4,
        "Checkpoints": [{"Name": "parked"}, {"Name": "later"}],
        "Detail": "",
        **given,
    }


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("Off", PowerState.OFF),
        ("Saved", PowerState.OFF),
        ("OffCritical", PowerState.OFF),
        ("Running", PowerState.RUNNING),
        ("Paused", PowerState.RUNNING),
        ("PausedCritical", PowerState.RUNNING),
        ("Starting", PowerState.CHANGING),
        ("Stopping", PowerState.CHANGING),
        ("a state of a later Windows", PowerState.CHANGING),
    ],
)
def test_hyper_vs_states_are_off_running_or_on_their_way(state, power):
    assert seen(row("tzar-01", State=state)).power is power


def test_a_status_has_the_checkpoints_oldest_first_and_says_what_a_person_wants_to_see():
    status = seen(row("tzar-01", Detail="people named it 'x'"))
    assert status.checkpoints == ("parked", "later")
    assert (status.machine_id, status.incarnation) == ("id of tzar-01", 4)
    assert status.detail == (
        "Running; heartbeat OkApplicationsHealthy, up 62 s; memory 512 MiB; disk 3 MiB; people named it 'x'"
    )


def test_two_vms_with_one_mark_are_neither_off_nor_running():
    named = by_name([row("tzar-01"), row("tzar-02", State="Off"), row("tzar-02")])
    assert seen(named["tzar-01"]).power is PowerState.RUNNING
    assert seen(named["tzar-02"]).power is PowerState.CHANGING
    assert "remove the mark from the Notes of the copy" in seen(named["tzar-02"]).detail


def test_a_refusal_is_said_in_a_drivers_words_and_keeps_what_was_said():
    given = HyperVError(
        "The VM 'a' has no checkpoint 'x' (it has: 'y')",
        host="hv01",
        vm="a",
        cmdlet="Restore-TzarWorkerVM",
        code="TzarNoCheckpoint",
    )
    said = refusal(given, verb="restore", done="restored", checkpoint="x")
    assert str(said) == (
        "VM a on hv01: Restore-TzarWorkerVM: it has no checkpoint x: The VM 'a' has no checkpoint 'x' (it has: 'y'). "
        "Restore one that it has"
    )
    assert (said.code, said.vm, said.host) == ("TzarNoCheckpoint", "a", "hv01")


def test_an_error_of_another_kind_stays_as_it_is():
    error = HyperVError("out of memory", host="hv01", vm="a", cmdlet="Start-VM", busy=True)
    assert refusal(error, verb="start", done="started") is error


def test_a_screen_becomes_a_png_of_its_colours():
    pixels = b"\x00\xf8\xe0\x07\x1f\x00\xff\xff"  # red, green, blue, white: the low byte first
    image = Image.open(io.BytesIO(png_of(2, 2, base64.b64encode(pixels).decode())))
    assert (image.format, image.size) == ("PNG", (2, 2))
    colours = [image.getpixel(place) for place in ((0, 0), (1, 0), (0, 1), (1, 1))]
    assert colours == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
