"""A recipe: all that decides about a training, besides the data.

Chapters 6 and 7 of the book show what the standard recipes give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from relviz._errors import ParameterError
from relviz.networks import PHONE_CNN, SPEAKER_CNN, Architecture
from relviz.signals import Normalise
from relviz.training.data import GAP

__all__ = ["MEMORISED", "STANDARD", "Autocast", "Optimiser", "Recipe", "Schedule", "Study"]

Study = Literal["phones", "speakers", "cues"]
"""What is learnt."""

Optimiser = Literal["adam", "adamw", "sgd"]
"""PyTorch's optimisers."""

Schedule = Literal["cosine", "constant"]
"""How the learning rate goes on."""

Autocast = Literal["auto", "on", "off"]
"""Whether in bfloat16."""


MEMORISED = 0.99
"""Accuracy on shuffled labels at which they count as memorised."""


_KINDS = {
    int: "a whole number",
    int | None: "a whole number, or None",
    float: "a number",
    bool: "True or False",
    Architecture: "an Architecture",
}


@dataclass(frozen=True)
class Recipe:
    """All that decides about a training, besides the data.

    Parameters
    ----------
    study : str
        "phones", "speakers" or "cues".
    architecture : Architecture
        A row of Table 1.
    seed : int
        Of the weights, the order of the frames, dropout and shuffling.
    steps : int
        At most so many batches.
    batch_size : int
        Windows of a batch.
    optimiser : str
        "adam" and "sgd" (momentum 0.9) add `weight_decay` to the gradient, "adamw" decays the
        weights themselves.
    learning_rate : float
        Of the first step.
    weight_decay : float
        How much the weights shrink, as the optimiser has it.
    dropout : float
        Probability, of the hidden layer's units.
    speed : float
        Each window is played faster or slower by a factor drawn from 1 - speed to 1 + speed, so
        that F0, formants and tempo vary more than the speakers do (Ko et al.,
        2015). 0: as recorded.
    response : float
        Each window goes through a microphone of its own, whose gains at eight points from 0 to 8
        kHz are drawn from -response to response dB. 0: as recorded.
    noise : float
        Probability that noise is added to a window, at 5 to 25 dB below it, of a spectrum drawn as
        for `response`, with 20 dB.
    smoothing : float
        Of the labels: so much of the probability is spread over all classes (Szegedy et al., 2016).
    ema : float
        The weights that validate are an exponential moving average over steps, which keeps so much
        of itself at each, such as 0.999 (Polyak and Juditsky, 1992). 0: the weights themselves.
    schedule : str
        "cosine" lets the learning rate fall to 0 at the last step; "constant" does not.
    normalise : str
        As in `relviz.relevance_signal`.
    autocast : str
        bfloat16 arithmetic: "on", "off", or "auto", where the processor has it.
    validate_every : int
        After so many steps the accuracy is validated and a checkpoint saved.
    patience : int
        After so many validations without a better one training ends. The best weights are kept.
    subset : int, optional
        Train on so many frames only, drawn at random; default, on all.
    per_class : int, optional
        Train on at most so many frames of each class, evenly spread over its recordings, so that
        whoever spoke for longer is not learnt better; default, on all.
    shuffle_labels : bool
        The control network: labels permuted among the frames of the subset, trained until it knows
        99 % of them by heart (`MEMORISED`). Its "validation" is on those labels, as nothing else
        can be learnt from them.

    Raises
    ------
    ParameterError
        For what cannot be right.

    References
    ----------
    Ko et al., "Audio augmentation for speech recognition", Interspeech 2015,
    10.21437/Interspeech.2015-711.
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016,
    10.1109/CVPR.2016.308.
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992,
    10.1137/0330046.

    Examples
    --------
    >>> recipe = Recipe(steps=100, learning_rate=0.01)
    >>> round(recipe.rate(0), 4), round(recipe.rate(50), 4)
    (0.01, 0.005)
    """

    study: Study = "phones"
    architecture: Architecture = PHONE_CNN
    seed: int = 0
    steps: int = 8000
    batch_size: int = 256
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    speed: float = 0.0
    response: float = 0.0
    noise: float = 0.0
    smoothing: float = 0.0
    ema: float = 0.0
    schedule: Schedule = "cosine"
    normalise: Normalise = "window"
    autocast: Autocast = "auto"
    validate_every: int = 200
    patience: int = 10
    subset: int | None = None
    per_class: int | None = None
    shuffle_labels: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (
            ("study", get_args(Study)),
            ("optimiser", get_args(Optimiser)),
            ("schedule", get_args(Schedule)),
            ("normalise", get_args(Normalise)),
            ("autocast", get_args(Autocast)),
        ):
            if getattr(self, name) not in allowed:
                raise ParameterError(
                    f"{name} {getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}."
                )
        for name, hint in get_type_hints(Recipe).items():
            value = getattr(self, name)
            if get_origin(hint) is not Literal and not _is_a(value, hint):
                raise ParameterError(f"{name} is {value!r}: give {_KINDS[hint]}.")
        for name in ("steps", "batch_size", "validate_every", "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}: give 1 or more.")
        for name in ("subset", "per_class"):
            if (frames := getattr(self, name)) is not None and frames < 1:
                raise ParameterError(f"{name} is {frames}: give 1 frame or more, or None for all.")
        if not 0 <= self.seed < 2**63:
            raise ParameterError(f"seed is {self.seed}: give 0 or more, and less than 2**63.")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ParameterError(
                f"learning_rate is {self.learning_rate} and weight_decay {self.weight_decay}: give "
                "a rate above 0 and a decay of 0 or more."
            )
        for name in ("dropout", "smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}: give 0 or more, below 1.")
        if not 0 <= self.noise <= 1:
            raise ParameterError(f"noise is {self.noise}: give a probability, from 0 to 1.")
        if not 0 <= self.response <= 40:
            raise ParameterError(f"response is {self.response}: give 0 to 40 dB, such as 10.")
        if not 0 <= self.speed <= 0.5:
            raise ParameterError(f"speed is {self.speed}: give a share from 0 to 0.5, such as 0.1.")
        longest = int(2 * GAP / (1 + self.speed))
        if not 0 < self.architecture.window <= longest:
            raise ParameterError(
                f"the network hears {self.architecture.window} samples: give at most {longest}."
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2

    def speeds(self, step: int) -> NDArray[np.float64]:
        """How fast each window of the batch of step `step` is played: (batch_size,)."""
        draws = np.random.default_rng([self.seed, 4, step]).uniform(-1, 1, self.batch_size)
        return 1.0 + self.speed * draws

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Recipe:
        """Make a recipe of what `dataclasses.asdict` made of one, through JSON or not.

        Parameters
        ----------
        fields : mapping
            Its fields.

        Returns
        -------
        Recipe
            Equal to the one that was written.

        Raises
        ------
        ParameterError
            For a field that is missing, of another version or cannot be right.

        Examples
        --------
        >>> from dataclasses import asdict
        >>> Recipe.from_dict(asdict(STANDARD["phones"])) == STANDARD["phones"]
        True
        """
        if not isinstance(fields, Mapping):
            raise ParameterError("the recipe is no mapping of fields: take one that asdict made.")
        hints = get_type_hints(cls)
        strange = sorted(set(map(str, fields)) ^ set(hints))
        if strange:
            what = "is unknown to this version" if strange[0] in fields else "is missing"
            raise ParameterError(f"the recipe's {strange[0]} {what}: take one of this version.")
        try:
            said = dict(fields) | {"architecture": Architecture.from_dict(fields["architecture"])}
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(
                f"the recipe's architecture cannot be ({error}): take one that asdict made."
            ) from error
        return cls(**said)


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value is of a field's type; whole numbers are real ones, and truth is no number."""
    kinds = get_args(hint) or (hint,)
    if isinstance(value, bool) or bool in kinds:
        return isinstance(value, bool) and bool in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)


STANDARD: dict[Study, Recipe] = {
    "phones": Recipe(
        steps=14000,
        batch_size=128,
        optimiser="adamw",
        weight_decay=0.1,
        dropout=0.2,
        speed=0.15,
        validate_every=500,
        patience=20,
    ),
    "speakers": Recipe("speakers", SPEAKER_CNN, steps=4000, batch_size=128),
    "cues": Recipe(
        "cues",
        replace(PHONE_CNN, hidden=64),
        steps=800,
        batch_size=64,
        optimiser="adamw",
        learning_rate=2e-3,
        weight_decay=0.05,
        validate_every=200,
        patience=20,
    ),
}
"""The recipe of each study, before options."""
