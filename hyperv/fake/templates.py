"""The looks at the template and at the chain of a VM's disk: Templates.ps1."""

from hyperv.fake.hypervisor import Hypervisor
from hyperv.fake.machines import FakeVm
from hyperv.fake.marks import require_path
from hyperv.fake.records import tzar_error

__all__ = ["require_bootable", "require_chain", "require_cloneable", "require_template"]

_ANEW = "Make its clones anew: Remove-TzarWorkerVM, then New-TzarWorkerVM."


def require_template(host: Hypervisor, template: str) -> None:
    """Throws TzarTemplateMissing, TzarTemplateWritable or TzarBadPath unless this can be the parent of clones."""
    require_path(template, "The template")
    file = host.drive.find(template)
    if file is None:
        raise tzar_error(
            "TzarTemplateMissing",
            f"There is no template '{template}'. Clones need it where it was: put it back, or name another and make "
            "the VMs anew.",
            category="ObjectNotFound",
            target=template,
        )
    if not file.is_read_only:
        raise tzar_error(
            "TzarTemplateWritable",
            f"The template '{template}' is writable: a write to it would break all its clones. Protect it: "
            f"Set-ItemProperty -LiteralPath '{template}' -Name IsReadOnly -Value $true",
            target=template,
        )


def require_cloneable(host: Hypervisor, template: str, generation: int) -> None:
    """As `require_template`, and throws TzarTemplateHasCheckpoints when clones of it would break."""
    require_template(host, template)
    lower = template.lower()
    foreign = [vm for vm in host.all_vms() if vm.mark is None and vm.disk.lower() == lower and vm.checkpoints]
    if lower.endswith((".avhdx", ".avhd")) or foreign:
        raise tzar_error(
            "TzarTemplateHasCheckpoints",
            f"'{template}' is the disk of a checkpoint, or lies under one. Merge it, or export the VM, and clone the "
            "disk that comes of it.",
            target=template,
        )
    if not lower.endswith(".vhdx"):
        raise tzar_error(
            "TzarBadPath",
            f"The template '{template}' is no disk that can be cloned. Name a .vhdx: Convert-VHD makes one of a .vhd.",
            category="InvalidArgument",
            target=template,
        )
    require_chain(host, template, template, "")


def require_chain(host: Hypervisor, disk: str, template: str, name: str) -> None:
    """Throws TzarTemplateChanged or TzarTemplateMissing unless a disk and its parents are in order."""
    file = host.drive.find(disk)
    if file is None or file.disk is None or not file.disk.parent:
        return
    parent = host.drive.find(file.disk.parent)
    if parent is None or parent.disk is None:
        raise tzar_error(
            "TzarTemplateMissing",
            f"The parent disk of '{disk}' is not where it was. Put it back ({template}). Else: {_ANEW}",
            category="ObjectNotFound",
            target=name,
        )
    if parent.disk.identity != file.disk.parent_identity:
        raise tzar_error(
            "TzarTemplateChanged",
            f"The parent disk '{template}' has changed since the clone '{disk}' was made; it cannot start any more. "
            f"{_ANEW}",
            target=name,
        )


def require_bootable(host: Hypervisor, vm: FakeVm) -> None:
    """The look at a VM's template and disk before it boots. Throws TzarDiskMissing as well."""
    mark = vm.mark
    host.disk_of(vm)
    if mark is None:
        return
    if mark.parent:
        require_template(host, mark.parent)
    require_chain(host, vm.disk, mark.parent, mark.name)
