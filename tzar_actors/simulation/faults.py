"""What goes wrong in a simulated world, and how often. The named profiles are what `--faults` takes."""

from dataclasses import dataclass, fields, replace
from typing import Final

__all__ = ["PROFILES", "Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each fault happens. Names that end in `_h` are rates per hour; the others are shares, from 0 to 1.

    Args:
        evaluator_crash: of games whose evaluator crashes.
        evaluator_hang: of games that stop making progress.
        wrong_genome: of games played with another genome than was asked for, and reported as that one's.
        agent_fault: of orders that an agent says it cannot carry out.
        agent_crash_h: of each VM: its agent ends, its VM stays.
        vm_crash_h: of each VM: it goes off.
        vm_hang_h: of each VM: it is silent, and goes on later as if nothing had been.
        partition_h: of each VM: nothing passes between it and the supervisor for a while.
        sick_h: of each VM: from now on it does not boot, until its disk is made anew, or for good.
        actor_bug_h: of each VM: its VmActor is killed by an exception.
        slow_boot: of boots that take several times as long.
        endless_boot: of boots that never end.
        message_lost: of messages, in either direction.
        message_late: of messages that take seconds, while later ones wait behind them.
        message_doubled: of messages that come twice.
        message_reordered: of messages that later ones overtake.
        driver_refusal: of driver calls that the host refuses for load.
        driver_failure: of driver calls that fail.
        driver_lie: of driver calls that say they are done, and are not.
        driver_silence: of driver calls that are answered very late.
        driver_hang: of driver calls that are never answered; half of them do late what they were told.
        status_hang: of questions for a host's VMs that are never answered.
        host_failure_h: of each host: all its VMs go off, and it cannot be asked for a while.
        host_unreachable_h: of each host: it cannot be asked for a while; its VMs play on.
        supervisor_kill_h: the supervisor is killed, at a record, around a commit, or while it sends.
        trainer_death_h: of each trainer: it loses what it did not see, comes back, and asks for it again.
        disk_full_h: others fill the disk of the state folder, or nearly, and make room again later. In no profile: the
            disk is looked at each second then, which costs as much as all else in a simulated day.
        by_hand_h: of each VM: a person stops, starts, restarts or resets it.
        struck_by_hand: of what people ask: something befalls the VM, its actor or the supervisor just then.
        struck_ahead: of orders that wait at an agent behind another: something befalls its VM, its connection, its
            actor or the supervisor just then.
        poison: of genomes that fail wherever they are played.
        cancelled: of evaluations that their trainer cancels.
        deadline: of evaluations that have a deadline, sometimes a short one.
    """

    evaluator_crash: float = 0.0
    evaluator_hang: float = 0.0
    wrong_genome: float = 0.0
    agent_fault: float = 0.0
    agent_crash_h: float = 0.0
    vm_crash_h: float = 0.0
    vm_hang_h: float = 0.0
    partition_h: float = 0.0
    sick_h: float = 0.0
    actor_bug_h: float = 0.0
    slow_boot: float = 0.0
    endless_boot: float = 0.0
    message_lost: float = 0.0
    message_late: float = 0.0
    message_doubled: float = 0.0
    message_reordered: float = 0.0
    driver_refusal: float = 0.0
    driver_failure: float = 0.0
    driver_lie: float = 0.0
    driver_silence: float = 0.0
    driver_hang: float = 0.0
    status_hang: float = 0.0
    host_failure_h: float = 0.0
    host_unreachable_h: float = 0.0
    supervisor_kill_h: float = 0.0
    trainer_death_h: float = 0.0
    disk_full_h: float = 0.0
    by_hand_h: float = 0.0
    struck_by_hand: float = 0.0
    struck_ahead: float = 0.0
    poison: float = 0.0
    cancelled: float = 0.0
    deadline: float = 0.0

    def scaled(self, factor: float) -> "Faults":
        """The same faults, `factor` times as often; no share grows beyond a half."""
        changed = {}
        for field in fields(self):
            value = getattr(self, field.name) * factor
            changed[field.name] = value if field.name.endswith("_h") else min(0.5, value)
        return replace(self, **changed)


PROFILES: Final[dict[str, Faults]] = {
    "none": Faults(),
    "light": Faults(
        evaluator_crash=0.002,
        evaluator_hang=0.0005,
        agent_fault=0.0005,
        agent_crash_h=0.05,
        vm_crash_h=0.05,
        vm_hang_h=0.02,
        partition_h=0.05,
        sick_h=0.002,
        slow_boot=0.02,
        endless_boot=0.01,
        message_late=0.0005,
        driver_refusal=0.02,
        driver_failure=0.01,
        host_failure_h=0.01,
        host_unreachable_h=0.05,
        supervisor_kill_h=0.1,
        trainer_death_h=0.1,
        poison=0.002,
        cancelled=0.005,
        deadline=0.005,
    ),
    "heavy": Faults(
        evaluator_crash=0.01,
        evaluator_hang=0.002,
        wrong_genome=0.002,
        agent_fault=0.002,
        agent_crash_h=0.4,
        vm_crash_h=0.6,
        vm_hang_h=0.3,
        partition_h=0.5,
        sick_h=0.01,
        actor_bug_h=0.05,
        slow_boot=0.05,
        endless_boot=0.05,
        message_lost=0.001,
        message_late=0.003,
        message_doubled=0.001,
        message_reordered=0.001,
        driver_refusal=0.05,
        driver_failure=0.05,
        driver_lie=0.02,
        driver_silence=0.005,
        driver_hang=0.005,
        status_hang=0.0005,
        host_failure_h=0.05,
        host_unreachable_h=0.2,
        supervisor_kill_h=1.0,
        trainer_death_h=0.5,
        poison=0.01,
        cancelled=0.02,
        deadline=0.02,
    ),
}
PROFILES["persons"] = replace(PROFILES["heavy"], by_hand_h=1.0, struck_by_hand=0.2)
