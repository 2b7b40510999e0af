"""The space of a table: a registered one, choices that its schema states, or what a person's own file builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslab.errors import InvalidTable
from naslab.registry import search_space
from naslab.space import Choice, PlainSpace, Rule, SearchSpace
from naslab.tables.builders import allowed_space
from naslab.tables.header import Builder, StatedChoice, StatedRule, TableSpec
from naslab.tables.messages import nearest


def stated_space(table: TableSpec, options: Mapping[str, Any]) -> SearchSpace:
    """The whole space that a table states, built with these options. Errors as :func:`table_space`."""
    return table_space(table.space, table.choices, table.rules, options, table.builder)


def table_space(
    name: str,
    choices: Sequence[StatedChoice],
    stated: Sequence[StatedRule],
    options: Mapping[str, Any],
    builder: Builder | None = None,
) -> SearchSpace:
    """The space of one of a table's tasks.

    Args:
        name: A registered one, or what the stated choices are called.
        choices: Where it is no registered one, what was varied.
        stated: Which combinations of them are valid.
        options: What a registered space, or the builder, is built with.
        builder: Where a person's own file builds it: see :mod:`naslab.tables.builders`.

    Raises:
        InvalidTable: Stated choices are given options, or a rule names what is no choice or no option.
        NaslabError: The registered space is not there, or refuses its options; likewise the builder.
    """
    if builder is not None:
        return allowed_space(builder, options)
    if not choices:
        return search_space(name, **options)
    if options:
        raise InvalidTable(f"space_options {', '.join(options)}: choices that a schema states take none")
    known = {choice.name: choice for choice in choices}
    if len(known) < len(choices):
        raise InvalidTable(f"two choices have one name: {', '.join(choice.name for choice in choices)}")
    rules = []
    for rule in stated:
        for each in rule.scope:
            if each not in known:
                raise InvalidTable(f"a rule is about {each!r}, which is no choice.{nearest(each, known)}")
        allowed = set()
        for values in rule.allowed:
            if len(values) != len(rule.scope):
                raise InvalidTable(f"a rule on {', '.join(rule.scope)} allows {list(values)}; give one option of each")
            allowed.add(tuple(known[each].index(value) for each, value in zip(rule.scope, values, strict=True)))
        rules.append(Rule(rule.scope, frozenset(allowed)))
    made = [Choice(each.name, each.options, labels=each.options) for each in choices]
    return PlainSpace(made, name=name, rules=rules)
