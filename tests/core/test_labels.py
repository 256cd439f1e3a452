"""Labels route runs to agents."""

import pytest

from jupyter_flows.core.labels import matches, missing, validate_labels
from jupyter_flows.errors import InvalidLabel


def test_labels_are_kept_in_order_and_once():
    assert validate_labels(["b", "a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("my label", "label 'my label' has a space; use 'my-label'"),
        ("", "a label is empty; name it, or leave it out"),
        ("a/b", "label 'a/b' is not one word; use letters, digits, '.', '_', ':' or '-', beginning with a letter or digit"),
        ("-a", "label '-a' is not one word; use letters, digits, '.', '_', ':' or '-', beginning with a letter or digit"),
        ("x" * 101, "label 'xxxxxxxxxxxxxxxxxxxx'... has 101 characters; at most 100 are allowed"),
        (3, "label 3 is no text"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_named_in_one_sentence(label, sentence):
    with pytest.raises(InvalidLabel) as caught:
        validate_labels([label])
    assert str(caught.value) == sentence


def test_a_text_is_not_taken_for_its_letters():
    with pytest.raises(InvalidLabel, match="labels are a list of words"):
        validate_labels("gpu")


def test_too_many_labels_are_refused():
    with pytest.raises(InvalidLabel, match="65 labels"):
        validate_labels(f"l{n}" for n in range(65))


@pytest.mark.parametrize(
    ("asked", "offered", "exclusive", "takes"),
    [
        ((), (), False, True),
        ((), ("gpu",), False, True),
        ((), ("gpu",), True, False),
        (("gpu",), ("gpu", "lab-3"), True, True),
        (("gpu", "lab-3"), ("gpu",), False, False),
        (("gpu",), (), False, False),
    ],
)
def test_an_agent_takes_what_it_offers_every_label_of(asked, offered, exclusive, takes):
    assert matches(asked, offered, exclusive=exclusive) is takes


def test_what_lacks_is_named():
    assert missing(["b", "a", "c"], ["c"]) == ("a", "b")
