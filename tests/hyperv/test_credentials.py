"""Names and passwords, and that they do not show."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from hyperv import credentials
from hyperv.credentials import Credentials, find_credentials
from hyperv.messages import Secret
from tzar_actors.drivers.environment import without_credentials
from tzar_actors.errors import ConfigError

PASSWORD = "s3cret"
FOUND = Credentials("HV01\\admin", Secret(PASSWORD))
ENVIRONMENT = {"TZAR_HYPERV_HV_01_USER": FOUND.user, "TZAR_HYPERV_HV_01_PASSWORD": PASSWORD}
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are those of POSIX")


class Keyring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self, entries):
        self.entries = entries

    def get_password(self, service, username):
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def entries():
    """What is in the keyring."""
    before, entries = keyring.get_keyring(), {}
    keyring.set_keyring(Keyring(entries))
    yield entries
    keyring.set_keyring(before)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "credentials.toml"
    path.write_text(f"[hv-01]\nuser = 'HV01\\admin'\npassword = '{PASSWORD}'\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_they_are_found_in_the_environment_before_the_file_and_in_the_file_before_the_keyring(file, entries):
    entries["tzar-actors", "hv-01"] = "ring:of keys"
    other = {"TZAR_HYPERV_HV_01_USER": "me", "TZAR_HYPERV_HV_01_PASSWORD": "mine"}
    assert find_credentials("hv-01", file=file, environment=other) == Credentials("me", Secret("mine"))
    assert find_credentials("hv-01", file=file, environment={}) == FOUND
    assert find_credentials("hv-01", environment={}) == Credentials("ring", Secret("of keys"))


def test_a_password_in_the_keyring_may_have_colons(entries):
    entries["tzar-actors", "guests"] = "user:a:b"
    assert find_credentials("guests", environment={}).password.text == "a:b"


def test_when_there_are_none_the_error_names_all_places(file):
    with pytest.raises(ConfigError) as raised:
        find_credentials("other", file=file, environment={})
    for place in ("TZAR_HYPERV_OTHER_USER", "TZAR_HYPERV_OTHER_PASSWORD", str(file), "keyring set tzar-actors other"):
        assert place in str(raised.value)


def test_half_of_them_in_the_environment_is_an_error(file):
    with pytest.raises(ConfigError, match="TZAR_HYPERV_HV_01_USER is set and TZAR_HYPERV_HV_01_PASSWORD is not"):
        find_credentials("hv-01", file=file, environment={"TZAR_HYPERV_HV_01_USER": "me"})


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_cure(file, mode):
    file.chmod(mode)
    with pytest.raises(ConfigError, match=rf"others can read .*: chmod 600 {file}"):
        find_credentials("hv-01", file=file, environment={})


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(file):
    os.chown(file, 12345, 12345)
    with pytest.raises(ConfigError, match="others can read"):
        find_credentials("hv-01", file=file, environment={})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"password = {PASSWORD}", "is not TOML"),
        (f"[hv-01]\npassword = '{PASSWORD}'", "must have the texts user and password"),
        (f"[hv-01]\nuser = ''\npassword = '{PASSWORD}'", "must have the texts user and password"),
        (f"[hv-01]\nuser = 'a'\npassword = '{PASSWORD}'\npasword = 1", "and nothing else"),
        (f"hv-01 = '{PASSWORD}'", "must have the texts user and password"),
    ],
)
def test_a_wrong_file_is_told_without_what_stands_in_it(file, text, wrong):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=wrong) as raised:
        find_credentials("hv-01", file=file, environment={})
    assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__}"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.toml does not exist"):
        find_credentials("hv-01", file=tmp_path / "nothing.toml", environment={})


def test_a_wrong_entry_of_the_keyring_is_told_without_what_stands_in_it(entries):
    entries["tzar-actors", "hv-01"] = PASSWORD
    with pytest.raises(ConfigError, match="is not USER:PASSWORD") as raised:
        find_credentials("hv-01", environment={})
    assert PASSWORD not in str(raised.value)


def test_a_machine_without_a_keyring_has_none_in_it():
    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.raises(ConfigError, match="there are no credentials of hv-01"):
        find_credentials("hv-01", environment={})


def test_they_do_not_show():
    found = find_credentials("hv-01", environment=ENVIRONMENT)
    assert found == FOUND
    assert PASSWORD not in f"{found} {found!r} {found.password} {[found]}"


def test_other_processes_do_not_inherit_them():
    kept = {"PATH": "x", "TZAR_HYPERV_STATE": "y"}
    assert without_credentials(ENVIRONMENT | kept) == kept


@pytest.mark.parametrize(
    ("sddl", "is_private"),
    [
        ("credentials.toml\r\nD:PAI(A;;FA;;;S-1-5-21-1-2-3-1001)", True),
        ("D:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-5-21-1-2-3-1001)", True),
        ("D:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)", False),
        ("D:PAI(A;;FR;;;WD)", False),
        ("D:PAI(A;;FR;;;S-1-1-0)", False),
        ("D:PAI(D;;FA;;;WD)(A;;FA;;;BA)", True),
    ],
)
def test_who_may_read_a_file_on_windows_is_read_from_its_access_list(sddl, is_private):
    from hyperv.credentials import _crowds_in

    assert (not _crowds_in(sddl)) == is_private


@pytest.mark.skipif(sys.platform == "win32", reason="a stand-in for icacls, which Windows has")
def test_who_can_read_a_file_is_asked_once_by_however_many_threads(tmp_path, monkeypatch):
    asked, file = tmp_path / "asked", tmp_path / "credentials.toml"
    file.write_text("", encoding="utf-8")
    icacls = tmp_path / "icacls"
    saves = 'printf "D:PAI(A;;FA;;;BA)" | iconv -t utf-16le > "$3"'
    icacls.write_text(f'#!/bin/sh\necho "$3" >> {asked}\n: > "$3"; sleep 0.05; {saves}\n', encoding="utf-8")
    icacls.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    private = credentials._PrivateFiles()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: private.is_private(file), range(16)))
    [saved] = asked.read_text(encoding="utf-8").splitlines()
    assert not Path(saved).exists()
    monkeypatch.setattr(credentials, "_PRIVATE_FOR_S", 0.0)
    private = credentials._PrivateFiles()
    assert all(private.is_private(file) for _ in range(2))
    saved = asked.read_text(encoding="utf-8").splitlines()
    assert len(set(saved)) == len(saved) == 3
