"""Into a guest without network: the identity, commands, files, its address and clock, its screen."""

import base64
import hashlib

USER = {"User": "Administrator", "Password": "Password1!"}


def in_guest(host, text):
    return host.run(
        "$c = New-Object pscredential 'Administrator', (ConvertTo-SecureString 'Password1!' -AsPlainText -Force); "
        f"Invoke-Command -VMName tzar-01 -Credential $c -ScriptBlock {{ {text} }}"
        ' | ForEach-Object { "$_" }'
    )


def run(host, *argv, **more):
    (done,) = host.on("Invoke-TzarWorkerCommand", Argv=list(argv), **(USER | more))
    return done["ExitCode"], base64.b64decode(done["Stdout"]), base64.b64decode(done["Stderr"]), done["TimedOut"]


def upload(host, name, content):
    path = rf"{host.folder}\{host.fleet}\_upload\{name}"
    host.call(
        "Write-TzarHostFile",
        Fleet=host.fleet,
        Folder=host.folder,
        Path=path,
        Offset=0,
        Base64=base64.b64encode(content).decode(),
    )
    return path


def test_an_identity_arrives_whole_and_leaves_nothing_on_the_host(guest):
    document = '{"vm": "tzar-01", "note": "Grüße, $(x) `n \'quoted\' 中文"}'
    before = guest.files()
    for _ in range(2):
        guest.on("Copy-TzarIdentity", Document=document, Target=r"C:\ProgramData\tzar\identity.json")
        assert guest.files() == before
    (there,) = in_guest(
        guest, r"[Convert]::ToBase64String([IO.File]::ReadAllBytes('C:\ProgramData\tzar\identity.json'))"
    )
    assert base64.b64decode(there).decode() == document


def test_a_command_has_its_exit_code_and_both_outputs(guest):
    code, out, err, timed_out = run(guest, "cmd.exe", "/c", "echo out&& echo err 1>&2&& exit 7")
    assert (code, out.strip(), err.strip(), timed_out) == (7, b"out", b"err", False)


def test_arguments_reach_a_program_as_they_were_given(guest):
    odd = ["", "a b", 'say "hi"', "back\\", 'end\\"', "$(x)", "'q'", "%PATH%"]
    line = guest.run(
        "ConvertTo-TzarCommandLine -Argument @(" + ", ".join("'" + one.replace("'", "''") + "'" for one in odd) + ")"
    )
    assert line == ['"" "a b" "say \\"hi\\"" back\\ "end\\\\\\"" $(x) \'q\' %PATH%']


def test_a_command_that_lasts_too_long_is_ended_with_all_it_started(guest):
    *_, timed_out = run(guest, "cmd.exe", "/c", 'powershell.exe -Command "Start-Sleep -Seconds 600"', TimeoutSeconds=1)
    assert timed_out
    # One PowerShell is that of the question itself.
    assert in_guest(guest, "Get-Process | ForEach-Object Name") == ["powershell"]


def test_a_program_that_is_not_there_is_said_to_be_so(guest, refused):
    with refused("TzarNoProgram", "nope.exe"):
        run(guest, "nope.exe")


def test_a_wrong_password_is_an_error_that_does_not_tell_it(guest, refused):
    with refused("TzarNoGuestSession", "Administrator") as caught:
        run(guest, "cmd.exe", Password="hunter2")
    assert "hunter2" not in str(caught.error)


def test_a_file_is_pushed_in_pieces_and_its_hash_is_right_there(guest):
    content = bytes(range(256)) * 2000
    path = rf"{guest.folder}\{guest.fleet}\_upload\a b.bin"
    place = {"Fleet": guest.fleet, "Folder": guest.folder, "Path": path}
    for offset in (0, 200_000, 200_000, 400_000):
        piece = base64.b64encode(content[offset : offset + 200_000]).decode()
        (written,) = guest.call("Write-TzarHostFile", **place, Offset=offset, Base64=piece)
    assert written["Length"] == len(content)
    digest = hashlib.sha256(content).hexdigest()
    (sent,) = guest.on("Send-TzarWorkerFile", **USER, Source=path, Target=r"C:\in\deep er\a [1].bin", Sha256=digest)
    assert (sent["Length"], sent["Sha256"]) == (len(content), digest)
    (there,) = in_guest(guest, r"(Get-FileHash -LiteralPath 'C:\in\deep er\a [1].bin').Hash")
    assert there.lower() == digest
    for _ in range(2):
        guest.call("Remove-TzarHostFile", **place)
    assert not any("_upload" in one for one in guest.files())


def test_what_pushes_that_were_killed_left_is_removed_and_nothing_else(guest):
    old, new = (upload(guest, name, b"abc") for name in ("old.bin", "new.bin"))
    other = old.replace(guest.fleet, "0" * 32)
    guest.run(f"$null = New-Item -ItemType File -Force -Path '{other}', '{guest.folder}\\{guest.fleet}\\a file'")
    age = "ForEach-Object { $_.LastWriteTimeUtc = [datetime]::UtcNow.AddHours(-1) }"
    guest.run(f"Get-ChildItem -LiteralPath '{guest.folder}' -Recurse -File | Where-Object Name -ne new.bin | {age}")
    before = guest.files()
    place = {"Fleet": guest.fleet, "Folder": guest.folder}
    assert guest.call("Clear-TzarUpload", "-WhatIf", **place) == []
    assert guest.files() == before
    assert [(row["Path"], row["Length"]) for row in guest.call("Clear-TzarUpload", **place)] == [(old, 3)]
    [gone] = set(before) - set(guest.files())
    assert gone.endswith("old.bin")
    assert guest.call("Clear-TzarUpload", **place) == []
    guest.call("Remove-TzarHostFile", **place, Path=new)
    guest.run(f"Remove-Item -Recurse -LiteralPath '{guest.folder}\\{'0' * 32}'")
    guest.run(f"Remove-Item -LiteralPath '{guest.folder}\\{guest.fleet}\\a file'")


def test_a_file_with_another_hash_does_not_replace_what_is_there(guest, refused):
    good, bad = b"good", b"bad"
    source = upload(guest, "x.bin", good)
    guest.on(
        "Send-TzarWorkerFile", **USER, Source=source, Target=r"C:\in\x.bin", Sha256=hashlib.sha256(good).hexdigest()
    )
    source = upload(guest, "x.bin", bad)
    with refused("TzarHashDiffers"):
        guest.on(
            "Send-TzarWorkerFile", **USER, Source=source, Target=r"C:\in\x.bin", Sha256=hashlib.sha256(good).hexdigest()
        )
    assert in_guest(guest, r"Get-Content C:\in\x.bin; Get-ChildItem C:\in -Filter *.partial") == ["good"]
    guest.call("Remove-TzarHostFile", Fleet=guest.fleet, Folder=guest.folder, Path=source)


def test_only_the_upload_folder_is_written_to(guest, refused):
    before = guest.raw()
    for path in (
        r"C:\Windows\x",
        rf"{guest.folder}\{guest.fleet}\tzar-01\x",
        rf"{guest.folder}\{guest.fleet}\_upload\..\x",
        rf"{guest.folder}\{guest.fleet}\_upload\a\x",
    ):
        place = {"Fleet": guest.fleet, "Folder": guest.folder, "Path": path}
        with refused("TzarBadPath"):
            guest.call("Write-TzarHostFile", **place, Offset=0, Base64="")
        with refused("TzarBadPath"):
            guest.call("Remove-TzarHostFile", **place)
    with refused("TzarBadOffset"):
        guest.call(
            "Write-TzarHostFile",
            Fleet=guest.fleet,
            Folder=guest.folder,
            Path=rf"{guest.folder}\{guest.fleet}\_upload\x",
            Offset=5,
            Base64="",
        )
    assert guest.raw().keys() == before.keys()


def test_a_guest_is_given_its_address_and_the_time_in_one_session(guest):
    (now,) = guest.run("ConvertTo-TzarUnixTime -Time ([datetime]::UtcNow)")
    net = {"Address": "192.168.77.10", "PrefixLength": 24, "Gateway": "192.168.77.1"}
    (first,) = guest.on("Set-TzarWorkerGuest", **USER, **net, Time=now + 100, TestPath=r"C:\Windows")
    assert first["PathExists"] is True
    assert -110 < first["ClockWasOffSeconds"] < -95
    (second,) = guest.on("Set-TzarWorkerGuest", **USER, **net, TestPath=r"C:\none")
    assert second == {"Address": "192.168.77.10", "ClockWasOffSeconds": None, "PathExists": False}
    guest.on("Set-TzarWorkerGuest", **USER, Address="192.168.77.11", PrefixLength=24)
    addresses = in_guest(
        guest,
        "Get-NetIPAddress -AddressFamily IPv4 | Where-Object PrefixOrigin -eq Manual | ForEach-Object IPAddress",
    )
    routes = in_guest(
        guest, "Get-NetRoute | Where-Object { $_.DestinationPrefix -eq '0.0.0.0/0' } | ForEach-Object NextHop"
    )
    assert (addresses, routes) == (["192.168.77.11"], [])


def test_the_end_of_a_log_is_read_and_nothing_where_there_is_none(guest, refused):
    log = b"\xff begin" + b"." * 5000 + b" the end\n"
    source = upload(guest, "log", log)
    path = r"C:\ProgramData\tzar agent\agent.log"
    guest.on("Send-TzarWorkerFile", **USER, Source=source, Target=path, Sha256=hashlib.sha256(log).hexdigest())
    (whole,) = guest.on("Get-TzarWorkerLog", **USER, Path=path)
    assert base64.b64decode(whole["Base64"]) == log
    (end,) = guest.on("Get-TzarWorkerLog", **USER, Path=path, LimitBytes=9)
    assert base64.b64decode(end["Base64"]) == b" the end\n"
    assert guest.on("Get-TzarWorkerLog", **USER, Path=r"C:\ProgramData\none.log") == []
    with refused("TzarNoGuestSession"):
        guest.on("Get-TzarWorkerLog", User="Administrator", Password="hunter2", Path=path)


def test_the_screen_is_seen_in_the_size_that_was_asked_for(guest):
    (shot,) = guest.on("Get-TzarWorkerScreenshot", Width=64, Height=48)
    assert (shot["Width"], shot["Height"]) == (64, 48)
    pixels = base64.b64decode(shot["Rgb565"])
    assert len(pixels) == 64 * 48 * 2
    assert len(set(pixels)) > 2
