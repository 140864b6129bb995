from tzar_actors.core.room import Room

MIB = 1024 * 1024
ROOM = Room(low_bytes=100 * MIB, spool_limit_bytes=1000 * MIB)


def codes(room):
    return [found and found[0] for found in (room.shortage(needs_spool=False), room.shortage(needs_spool=True))]


def test_with_enough_free_everything_may_come_in():
    assert codes(ROOM.disk_seen(100 * MIB).spool_seen(1000 * MIB)) == [None, None]


def test_a_disk_below_the_mark_refuses_all_and_takes_again_when_there_is_a_quarter_more():
    low = ROOM.disk_seen(100 * MIB - 1)
    assert codes(low) == ["disk_full", "disk_full"]
    assert codes(low.disk_seen(124 * MIB)) == ["disk_full", "disk_full"]
    assert codes(low.disk_seen(125 * MIB)) == [None, None]
    assert "less than 100 MiB free (limits.disk_low_mib)" in low.shortage(needs_spool=False)[1]


def test_a_spool_over_its_bound_refuses_large_genomes_until_a_twentieth_is_free():
    full = ROOM.spool_seen(1000 * MIB + 1)
    assert codes(full) == [None, "spool_full"]
    assert codes(full.spool_seen(951 * MIB)) == [None, "spool_full"]
    assert codes(full.spool_seen(950 * MIB)) == [None, None]
    assert "limits.spool_gib" in full.shortage(needs_spool=True)[1]


def test_a_write_that_found_the_disk_full_counts_more_than_what_was_seen_before():
    assert codes(ROOM.disk_seen(10**12).ran_out()) == ["disk_full", "disk_full"]
