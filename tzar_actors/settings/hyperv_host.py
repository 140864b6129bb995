"""The settings of a Hyper-V host: how it is reached, what its VMs are, and how their guests are reached."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tzar_actors.settings.section import Count, Port, Seconds, Section, Text, allowing

__all__ = ["HyperVHost"]

_Address = Annotated[str, Field(json_schema_extra=allowing("an IPv4 address"))]
_Host = Annotated[str, Field(min_length=1, json_schema_extra=allowing("a name or an address"))]
_WindowsPath = Annotated[str, Field(min_length=1, json_schema_extra=allowing("a full path of Windows"))]
_CheckpointName = Annotated[
    str, Field(min_length=1, max_length=100, json_schema_extra=allowing("a text of 100 characters at most"))
]
_StopSeconds = Annotated[
    float, Field(strict=True, gt=0, le=3600, json_schema_extra=allowing("a number above 0, 3600 at most"))
]
_GuestAddresses = Annotated[str, Field(json_schema_extra=allowing('"dhcp", or the first and the last of a range'))]
_Memory = Annotated[
    int, Field(strict=True, ge=32, multiple_of=2, json_schema_extra=allowing("an even integer of at least 32"))
]
# What has a setting of its own here, and what belongs into no configuration.
_NOT_FOR_PYWINRM = ("endpoint", "transport", "server_cert_validation", "ca_trust_path", "username", "password")


class HyperVHost(Section):
    """How VMs of the driver `hyperv` are made and reached: each is a clone of a template on a Hyper-V host."""

    address: _Host | None = Field(
        default=None,
        description="The host's name or address, which is reached by WinRM. Without it: this machine is the host.",
        examples=["hv01.example.net"],
    )
    transport: Literal["ntlm", "kerberos", "credssp", "certificate", "basic"] = Field(
        default="ntlm", description="How WinRM signs in. `ntlm`, `kerberos` and `credssp` encrypt without HTTPS too."
    )
    https: bool = Field(default=False, strict=True, description="Whether WinRM is reached by HTTPS.")
    port: Port = Field(default=0, description="WinRM's port. 0: 5985, with HTTPS 5986.")
    verify_certificate: bool = Field(
        default=True, strict=True, description="Whether the host's certificate must be one to trust."
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities to trust, in place of the usual ones.",
        examples=["hv01-ca.pem"],
    )
    winrm_options: dict[str, str | bool | int] = Field(
        default={},
        description="What else pywinrm's `Protocol` takes, by its own names.",
        json_schema_extra=allowing("a table, as { send_cbt = false }"),
    )
    credentials: Text | None = Field(
        default=None,
        description="Under which name the host's account is kept: `hv01` is TZAR_HYPERV_HV01_USER and"
        " TZAR_HYPERV_HV01_PASSWORD in the environment, the table [hv01] of `credentials_file`, or `hv01` in the"
        " keyring. Without it: the host's `name`.",
        examples=["hv01"],
    )
    guest_credentials: Text = Field(
        default="guest", description="Under which name the account of an administrator in the guests is kept."
    )
    credentials_file: Path | None = Field(
        default=None,
        description="TOML file with `user` and `password` in a table for each name, which nobody else can read.",
        examples=["credentials.toml"],
    )
    lanes: Annotated[int, Field(strict=True, ge=1, le=12)] = Field(
        default=3, description="How many PowerShells are kept running on the host, beside one for status."
    )
    template: _WindowsPath = Field(
        default=r"C:\tzar\template.vhdx", description="The disk that the VMs are clones of, on the host; read-only."
    )
    folder: _WindowsPath = Field(default=r"C:\tzar\vms", description="Where the VMs lie, on the host.")
    switch: Text = Field(default="tzar", description="The virtual switch that the VMs are connected to.")
    host_address: _Address = Field(
        default="192.168.77.1", description="The host's own address on an internal switch, made by `tzar host init`."
    )
    prefix_length: Annotated[int, Field(strict=True, ge=8, le=30)] = Field(
        default=24, description="The length of the network's prefix there."
    )
    nat: bool = Field(
        default=False,
        strict=True,
        description="Whether the host lets guests out by NAT: needed where the supervisor is not on the host.",
    )
    guest_addresses: _GuestAddresses = Field(
        default="192.168.77.11-192.168.77.250",
        description="The range from which each guest is given its address, by the number of its VM; dhcp: the switch's"
        " network gives them theirs. Two fleets on one switch need two ranges.",
    )
    gateway: _Address | None = Field(
        default=None,
        description="The guests' gateway. Without it: `host_address` where `nat` is true, else none.",
        examples=["192.168.77.1"],
    )
    memory_mb: _Memory = Field(
        default=4096, description="Memory of each VM in MiB; with `dynamic_memory` what it starts with."
    )
    dynamic_memory: bool = Field(default=False, strict=True, description="Whether Hyper-V moves memory between VMs.")
    minimum_memory_mb: _Memory = Field(default=512, description="With `dynamic_memory`: the least that a VM keeps.")
    maximum_memory_mb: _Memory = Field(default=4096, description="With `dynamic_memory`: the most that a VM gets.")
    processors: Annotated[int, Field(strict=True, ge=1, le=240)] = Field(
        default=2, description="Virtual processors of each VM."
    )
    generation: Literal[1, 2] = Field(default=2, description="The VMs' generation: 1 boots a template by BIOS.")
    secure_boot: Literal["MicrosoftWindows", "MicrosoftUEFICertificateAuthority", "off"] = Field(
        default="MicrosoftWindows",
        description="What a VM of generation 2 boots: what Windows signed, what the authority for others signed, or"
        " anything.",
    )
    gpu_partition: bool = Field(
        default=False,
        strict=True,
        description="Whether each VM gets a part of the host's GPU, without which WebGL and WebGPU are unplayable.",
    )
    screen_width: Annotated[int, Field(strict=True, ge=640, le=7680)] = Field(
        default=1280, description="Width of the VMs' screens in pixels."
    )
    screen_height: Annotated[int, Field(strict=True, ge=480, le=4320)] = Field(
        default=720, description="Height of the VMs' screens in pixels."
    )
    disk_mb: Count = Field(default=8192, description="What the disk of one VM may grow to, for the host's budget.")
    reserve_memory_mb: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=2048, description="Memory that is left to the host: no VM is made that would take of it."
    )
    reserve_disk_mb: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=10240, description="Room that stays free on the host's disk."
    )
    agent_home: _WindowsPath = Field(
        default=r"C:\ProgramData\tzar-agent", description="The agent's folder in the guests."
    )
    boot_timeout_s: Seconds = Field(
        default=300.0, description="Seconds from a VM's start until its guest must have its identity."
    )
    stop_timeout_s: _StopSeconds = Field(
        default=60.0,
        description="Seconds that a guest which is asked to shut down is given; then its VM is turned off. One that"
        " does not answer at all is turned off at once.",
    )
    checkpoint: _CheckpointName | None = Field(
        default=None,
        description="Name of a checkpoint that each VM gets at its first boot, with its memory, before its first"
        " identity. A VM that restarts do not bring back is restored to it. Without it: such a VM is made anew.",
        examples=["parked"],
    )

    @property
    def guest_range(self) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address] | None:
        """The first and the last address for guests; None: something else gives them theirs."""
        if self.guest_addresses == "dhcp":
            return None
        first, _, last = self.guest_addresses.partition("-")
        return ipaddress.IPv4Address(first.strip()), ipaddress.IPv4Address(last.strip())

    @field_validator("winrm_options")
    @classmethod
    def _are_for_pywinrm(cls, options: dict[str, str | bool | int]) -> dict[str, str | bool | int]:
        for name in options:
            if name in _NOT_FOR_PYWINRM:
                raise ValueError(f"{name} does not belong there; allowed: what has no setting of its own")
        return options

    @field_validator("host_address", "gateway")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        try:
            return address and str(ipaddress.IPv4Address(address))
        except ValueError:
            raise ValueError(f'"{address}" is not an IPv4 address; allowed: one such as 192.168.77.1') from None

    @field_validator("address")
    @classmethod
    def _is_a_host_alone(cls, address: str | None) -> str | None:
        if address is None or re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", address):
            return address
        try:
            return str(ipaddress.IPv6Address(address))
        except ValueError:
            raise ValueError(
                f'"{address}" is not a host\'s name or address; allowed: hv01.example.net or 10.0.0.5, with `https` and'
                " `port` beside it"
            ) from None

    @field_validator("template", "folder", "agent_home")
    @classmethod
    def _is_a_full_path(cls, path: str, info: ValidationInfo) -> str:
        starts = r"[A-Za-z]:" if info.field_name == "agent_home" else r"([A-Za-z]:|\\\\[^\\]+\\[^\\]+)"
        is_plain = not set(path) & set('[]*?"<>|/`') and not set(path.split("\\")) & {".", ".."}
        if is_plain and re.fullmatch(rf"{starts}\\.+", path):
            return path
        raise ValueError(
            f'"{path}" is not a full path of Windows without wildcards and steps upwards; allowed: one such as'
            " 'C:\\tzar', in single quotes"
        )

    @model_validator(mode="after")
    def _agree(self) -> "HyperVHost":
        if self.transport == "basic" and not self.https:
            raise ValueError('transport is "basic", which sends the password as it is; allowed: with https = true')
        if self.address is not None and self.transport not in ("credssp", "kerberos"):
            for name in ("template", "folder"):
                if (path := getattr(self, name)).startswith("\\\\"):
                    raise ValueError(
                        f"{name} is '{path}', which the host cannot open for an account that comes by {self.transport};"
                        ' allowed: a path on its own disks, or transport = "credssp"'
                    )
        if self.dynamic_memory and not self.minimum_memory_mb <= self.memory_mb <= self.maximum_memory_mb:
            raise ValueError(
                f"minimum_memory_mb, memory_mb and maximum_memory_mb are {self.minimum_memory_mb}, {self.memory_mb} and"
                f" {self.maximum_memory_mb}; allowed: three that rise"
            )
        try:
            guests = self.guest_range
        except ValueError:
            raise ValueError(
                f'guest_addresses is "{self.guest_addresses}"; allowed: "dhcp", or "192.168.77.11-192.168.77.250"'
            ) from None
        if guests is not None:
            self._guests_fit(*guests)
        return self

    def _guests_fit(self, first: ipaddress.IPv4Address, last: ipaddress.IPv4Address) -> None:
        network = ipaddress.IPv4Network(f"{self.host_address}/{self.prefix_length}", strict=False)
        if first > last or first <= network.network_address or last >= network.broadcast_address:
            raise ValueError(
                f'guest_addresses is "{self.guest_addresses}"; allowed: a range that rises within {network}'
            )
        if first <= ipaddress.IPv4Address(self.host_address) <= last:
            raise ValueError(
                f"host_address {self.host_address} is one of guest_addresses; allowed: one outside of them"
            )
