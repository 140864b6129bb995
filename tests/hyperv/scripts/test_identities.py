"""Identities that cannot be delivered, and what else needs a guest that answers."""

import pytest

USER = {"User": "Administrator", "Password": "Password1!"}


def test_an_identity_for_a_guest_that_does_not_answer_yet_is_to_be_asked_again(host, refused):
    host.make()
    with refused("TzarNotRunning"):
        host.on("Copy-TzarIdentity", Document="{}", Target=r"C:\identity.json")
    host.set_faults({"boot": {"never_heartbeat": ["tzar-01"]}})
    host.on("Start-TzarWorkerVM")
    before = host.files()
    with refused("TzarNoHeartbeat") as caught:
        host.on("Copy-TzarIdentity", Document='{"secret_key": "SECRET"}', Target=r"C:\identity.json")
    assert "SECRET" not in str(caught.error)
    assert host.files() == before


def test_the_secret_file_goes_also_when_the_copy_fails(host):
    host.make()
    host.boot()
    before = host.files()
    host.fail_once("Copy-VMFile")
    with pytest.raises(Exception, match="made up") as caught:
        host.on("Copy-TzarIdentity", Document='{"secret_key": "SECRET"}', Target=r"C:\identity.json")
    assert caught.value.cmdlet == "Copy-VMFile"
    assert host.files() == before


def test_a_guest_service_that_people_turned_off_is_turned_on_again(host, refused):
    host.make()
    host.boot()
    host.run("Disable-VMIntegrationService -VMName tzar-01 -Name 'Guest Service Interface'")
    with refused("TzarNoHeartbeat"):
        host.on("Copy-TzarIdentity", Document="{}", Target=r"C:\identity.json")
    host.on("Copy-TzarIdentity", Document="{}", Target=r"C:\identity.json")


def test_a_vm_that_is_off_has_no_guest_and_no_screen(host, refused):
    host.make()
    for verb, more in (
        ("Invoke-TzarWorkerCommand", USER | {"Argv": ["x"]}),
        ("Set-TzarWorkerGuest", USER),
        ("Get-TzarWorkerLog", USER | {"Path": r"C:\x.log"}),
        ("Get-TzarWorkerScreenshot", {}),
    ):
        with refused("TzarNotRunning"):
            host.on(verb, **more)
