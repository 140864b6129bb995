"""What is made of an error that a PowerShell replied."""

import pytest

from hyperv.errors import Circumstances, failure_of_call, failure_of_lane
from hyperv.lane_rules import Verdict
from hyperv.messages import Reply
from tzar_actors.errors import DriverError

ABOUT = Circumstances("hv01", "tzar-07", "Start-TzarWorkerVM", 60.0)


def error(message="it failed.", secrets=(), **fields):
    record = {"message": message, "id": "", "category": "", "exception": "", "hresult": 0, "cmdlet": "", "code": ""}
    return failure_of_call(ABOUT, Reply("op", (), record | fields, ("a warning",)), secrets)


def test_an_error_names_vm_host_cmdlet_what_happened_and_the_cure():
    failure = error("'x' failed to start.\n\nNot enough memory (0x8007000E).", cmdlet="Start-VM", hresult=-2146233088)
    assert isinstance(failure, DriverError)
    assert str(failure) == (
        "VM tzar-07 on hv01: Start-VM: 'x' failed to start. Not enough memory (0x8007000E). "
        "Free memory on the host, or give its VMs less or fewer of them"
    )
    assert (failure.host, failure.vm, failure.cmdlet, failure.hresult) == ("hv01", "tzar-07", "Start-VM", 0x8007000E)
    assert (failure.busy, failure.unreachable, failure.said) == (True, False, ("a warning",))


def test_an_error_without_a_cmdlet_names_the_function():
    assert str(error()) == "VM tzar-07 on hv01: Start-TzarWorkerVM: it failed"


@pytest.mark.parametrize(
    ("fields", "busy", "unreachable", "cure"),
    [
        ({"hresult": -2147024882}, True, False, "Free memory"),
        ({"message": "x (0x80070070)"}, True, False, "Free space"),
        ({"id": "OutOfMemory,X"}, True, False, "Free memory"),
        ({"code": "TzarNotEnoughMemory", "id": "TzarNotEnoughMemory,X"}, True, False, "Free memory"),
        ({"code": "TzarNotEnoughDisk"}, True, False, "Free space"),
        ({"code": "TzarNoService"}, False, True, "Start-Service vmms"),
        ({"id": "AccessDenied,X", "category": "PermissionDenied", "cmdlet": "Get-VM"}, False, True, "S-1-5-32-578"),
        ({"id": "AccessDenied,X", "category": "PermissionDenied", "cmdlet": "Start-VM"}, False, False, "read-only"),
        ({"code": "TzarNoRights", "id": "TzarNoRights,X"}, False, True, "S-1-5-32-578"),
        (
            {"id": "AccessDenied,X", "category": "PermissionDenied", "message": "(0x80070005)"},
            False,
            False,
            "read-only",
        ),
        ({"message": "(0x80070020)"}, True, False, "holds the file"),
        ({"message": "(0xC03A000E)."}, False, False, "make the VM anew"),
        ({"message": "(0xc03a000d)"}, False, False, "put the template back"),
        ({"code": "TzarNotOff"}, False, False, ""),
    ],
)
def test_what_is_known_of_an_error_is_told_by_ids_and_hresults_and_not_by_its_text(fields, busy, unreachable, cure):
    failure = error(**fields)
    assert (failure.busy, failure.unreachable) == (busy, unreachable)
    assert cure in failure.cure


@pytest.mark.parametrize("code", ["TzarNoSwitch", "TzarTemplateMissing", "TzarTemplateWritable"])
def test_what_all_vms_of_a_host_need_and_it_lacks_is_no_fault_of_one_of_them(code):
    failure = error("it is not there", code=code)
    assert failure.lacking
    assert failure.is_refusal
    assert "tried again" in failure.cure
    assert not error("it has changed", code="TzarTemplateChanged").is_refusal, "that one clone is broken"


def test_of_several_hresults_the_one_that_is_known_counts():
    assert error("failed (0x80131500): no room (0x80070070) on (0x12345678)").hresult == 0x80070070
    assert error("failed (0x80131500) and (0x12345678)").hresult == 0x12345678
    assert error("failed", hresult=-2146233088).hresult == 0x80131500


def test_secrets_do_not_come_back_in_an_error():
    failure = error("cannot convert 'hunter2' to X", secrets=("hunter2",), id="Bad hunter2")
    assert "hunter2" not in f"{failure} {failure!r} {vars(failure)}"


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_an_error(verdict):
    failure = failure_of_lane(ABOUT, verdict, "the story")
    assert str(failure).startswith("VM tzar-07 on hv01: Start-TzarWorkerVM: ")
    assert failure.busy == (verdict is Verdict.BUSY)
    assert failure.unreachable == (verdict not in {Verdict.BUSY, Verdict.HUNG, Verdict.TOO_LARGE})
    assert failure.cure


def test_a_hung_call_says_how_long_it_was_waited_for():
    assert "it did not end within 60 s. It was ended" in str(failure_of_lane(ABOUT, Verdict.HUNG, "no reply"))


@pytest.mark.parametrize(
    ("parameters", "vm"),
    [
        ({"Name": "a b"}, "a b"),
        ({"Name": ["one"]}, "one"),
        ({"Name": ["one", "two"]}, None),
        ({"Name": None}, None),
        ({}, None),
    ],
)
def test_the_vm_is_the_one_that_the_call_names(parameters, vm):
    assert Circumstances.of("hv01", "New-X", parameters, 1.0) == Circumstances("hv01", vm, "New-X", 1.0)
