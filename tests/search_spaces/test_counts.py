"""Options out of all proportion, from a schema or a command line: one line, and no memory taken."""

import pytest

import naslab
from naslab.errors import InvalidValue, NaslabError


@pytest.mark.parametrize(
    ("space", "option"),
    [("nasbench201", "cells_per_stage"), ("mlp", "depth"), ("fabric", "layers"), ("darts", "cells"),
     ("nasbench1shot1", "cells_per_stack"), ("nasbench101", "cells_per_stack")],
)  # fmt: skip
@pytest.mark.parametrize("count", [10**15, 1.5, "many"])
def test_no_network_has_so_many_parts(space, option, count):
    with pytest.raises(InvalidValue, match=f"{option}=.*: give a whole number of at most 1,000"):
        naslab.search_space(space, **{option: count})


@pytest.mark.parametrize(
    "options",
    [{"input_shape": (3, 10**12, 10**12)}, {"num_classes": 10**30}, {"input_shape": 3}, {"channels": None}],
)
def test_what_a_builder_can_not_use_is_one_line(options):
    with pytest.raises(NaslabError) as error:
        naslab.search_space("nasbench201", **options)
    assert "\n" not in str(error.value)
