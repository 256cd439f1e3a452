"""Names of runs that a person can say and type: ``calm-otter-417``."""

from __future__ import annotations

import secrets

_FIRST_WORDS = (
    "amber bold brave brief bright brisk calm candid civil clear clever cosy crisp deft eager early easy "
    "fair fleet fond free fresh gentle glad golden good grand happy hardy honest humble ideal jolly just "
    "keen kind late light lively loyal lucid lucky mellow merry mild modest neat new nimble noble novel "
    "open patient plain polite proud quick quiet rapid ready rosy round sharp silent simple sleek smart "
    "smooth snug sober solid spry stable steady still sunny sure swift tender tidy trim true vivid warm "
    "wise witty young"
)
_SECOND_WORDS = (
    "ant badger bear beaver bee bison bobcat buck carp cat civet cobra colt condor coot crab crane "
    "cricket crow deer dingo dove duck eagle eel egret elk falcon ferret finch fox frog gecko gibbon goat "
    "goose grouse gull hare hawk heron horse ibis jay kestrel kite koala lark lemur lion llama lynx "
    "magpie marten mink mole moose moth mouse newt ocelot orca otter owl ox panda perch pika pony puffin "
    "puma quail rabbit ram raven robin rook salmon seal shrew skink snail sparrow stoat stork swan tapir "
    "teal tern thrush tiger toad trout turtle viper vole walrus wasp weasel whale wolf wombat wren yak "
    "zebra"
)
_FIRST = tuple(_FIRST_WORDS.split(" "))
_SECOND = tuple(_SECOND_WORDS.split(" "))


def run_name() -> str:
    """Return a fresh name; one in ten million is a good enough chance of a double.

    Examples
    --------
    >>> len(run_name().split("-"))
    3
    """
    return f"{secrets.choice(_FIRST)}-{secrets.choice(_SECOND)}-{secrets.randbelow(900) + 100}"
