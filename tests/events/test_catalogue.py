import dataclasses
import re
from pathlib import Path
from string import Formatter
from typing import get_type_hints

import pytest

from tzar_actors.events import of_games, of_supervisor, of_vms
from tzar_actors.events.catalogue import EVENTS, Level
from tzar_actors.events.reference import events_page

PLAIN = (str, int, float, bool, str | None, int | None, float | None)


def test_the_repository_s_page_is_what_the_catalogue_makes():
    page = Path(__file__).parents[2] / "docs" / "events.md"
    assert page.read_text(encoding="utf-8") == events_page(), (
        "make it anew: python -m tzar_actors.events docs/events.md"
    )


def test_the_union_holds_every_event_that_is_defined():
    defined = {getattr(module, name) for module in (of_games, of_supervisor, of_vms) for name in module.__all__}
    assert set(EVENTS) == defined
    assert len(EVENTS) == len(defined)


def test_names_are_unique():
    assert len({kind.NAME for kind in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.NAME)
def test_an_event_is_a_plain_frozen_value_that_explains_itself(kind):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.NAME)
    assert isinstance(kind.LEVEL, Level)
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "the docstring is the dataclass's own"
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    assert all(hints[name] in PLAIN for name in names)
    assert not {"t", "level", "event"} & set(names), "these are the line's own"


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.NAME)
def test_the_text_for_people_names_fields_of_its_event(kind):
    used = {name for _, name, _, _ in Formatter().parse(kind.TEXT) if name}
    assert used <= {field.name for field in dataclasses.fields(kind)}
