"""What a sweep is asked for: settings, space, sampler, pruner; kept in the study for who joins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from mlrun.errors import MlrunError
from mlrun.seam.conversion import as_text
from mlrun.seam.files import at_home
from mlrun.settings import recipes
from mlrun.settings.names import by_canonical_name
from mlrun.settings.plain_yaml import plain_of
from mlrun.settings.plan import Plan, plan_of, with_plugins
from mlrun.settings.run import component_settings, setting_traits
from mlrun.sweeps.dimensions import space_of
from mlrun.sweeps.space import Space

Sampler = Literal["tpe", "random", "grid"]
Pruner = Literal["none", "median", "hyperband"]
Direction = Literal["minimise", "maximise"]
TRIALS = 20  # unless more or fewer are asked for; of a grid, all


@dataclass(frozen=True)
class Request:
    """What a sweep is asked for; whoever joins it gets it from the study, as JSON.

    recipe: settings by name that the others go over. given: settings that were given beside.
    search: specifications by name. recipe_name: where `recipe` comes from; empty for none.
    """

    recipe: Mapping[str, Any]
    given: Mapping[str, Any]
    search: Mapping[str, Any]
    sampler: Sampler = "tpe"
    pruner: Pruner = "none"
    direction: Direction | None = None
    recipe_name: str = ""

    @cached_property
    def space(self) -> Space:
        """The search space; raises MlrunError, as `plan` does, where something is wrong."""
        return space_of(self.search, recipes.merge(self.recipe, self.given))

    def plan(self, drawn: Mapping[str, object]) -> Plan:
        """Returns the plan of the trial that has these values; raises MlrunError.

        An option that was given for one choice of a component is left out of the others.
        """
        values = recipes.merge(self.recipe, {**self.given, **drawn})
        plan = plan_of({name: value for name, value in values.items() if self.fits(name, values)})
        return replace(plan, recipe_name=self.recipe_name)

    def fits(self, name: str, values: Mapping[str, object]) -> bool:
        """Whether a setting is one of a trial: not an option that only other choices have."""
        prefix, dot, option = name.partition(".")
        if not dot or prefix not in self.search:
            return True
        kind = component_settings()[prefix]
        choices = self.space.components(prefix, kind)
        own = self.space.registry.find(kind, as_text(values[prefix]))
        known = any(option in names_of(each) for each in choices)
        return option in names_of(own) or not known  # what none has is told by the plan

    @cached_property
    def corner(self) -> Plan:
        """Returns the plan of a point of the space; raises MlrunError where no corner has one."""
        faults: list[MlrunError] = []
        for drawn in self.space.corners():
            try:
                return self.plan(drawn)
            except MlrunError as error:
                faults.append(error)
        raise faults[0]

    @property
    def monitor(self) -> str:
        """The metric that trials are compared by."""
        return self.corner.settings.monitor

    @property
    def maximised(self) -> bool:
        """Whether the higher value of it is the better one."""
        if self.direction is not None:
            return self.direction == "maximise"
        return self.monitor.endswith("/accuracy")

    @property
    def seed(self) -> int:
        """The seed of the sampler: that of the runs."""
        return self.corner.settings.seed

    def study_name(self, home: str) -> str:
        """Returns the study's name, by all that decides what its trials come to, and by its home.

        Settings that are free where a run is gone on with are so here, but for the experiment.
        """
        free = {name for name, traits in setting_traits().items() if traits.free} - {"experiment"}
        values = asdict(self) | {"home": home}
        for layer in ("recipe", "given"):
            values[layer] = {n: v for n, v in values[layer].items() if n not in free}
        text = json.dumps(values, sort_keys=True, default=str)
        return f"sweep-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def to_json(self) -> str:
        """Returns it as JSON, from which `from_json` makes it again."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Returns what `to_json` was called of; raises MlrunError where it cannot be read."""
        try:
            return cls(**cast(dict[str, Any], json.loads(text)))
        except (TypeError, ValueError) as error:
            raise MlrunError(f"the study is of another version of mlrun ({error})") from None


def names_of(component: Any) -> list[str]:
    """Returns the names of a component's options."""
    return [option.name for option in component.options]


def request_of(
    values: Mapping[str, object],
    search: Mapping[str, object],
    *,
    sampler: Sampler = "tpe",
    pruner: Pruner = "none",
    direction: Direction | None = None,
) -> Request:
    """Returns what a sweep is asked for, checked: its names and values, and each end of its space.

    Args:
        values: as `mlrun.train` takes them, with `recipe` for one; it may have a search.
        search: specifications by name, over those of the recipe.
        sampler, pruner, direction: of the study; the monitored metric's direction by default.

    Raises:
        MlrunError: something in it is wrong, on one line.
    """
    given, searched = by_canonical_name(values), by_canonical_name(search)
    both = [name for name in searched if name in given]
    if both:
        raise MlrunError(f"{both[0]} is searched and given; leave one of the two out")
    name = given.pop("recipe", None)
    recipe: Mapping[str, object] = {}
    if name is not None:
        loaded = recipes.load(as_text(name))
        loaded = loaded if "plugin" in given else with_plugins(loaded)
        recipe = {n: v for n, v in loaded.values.items() if n not in searched}
        searched = {n: s for n, s in {**loaded.search, **searched}.items() if n not in given}
    request = Request(
        {n: plain_of(value) for n, value in recipe.items()},
        {n: plain_of(value) for n, value in given.items()},
        searched,
        sampler,
        pruner,
        direction,
        "" if name is None else Path(loaded.name).name,
    )
    plan = request.corner
    if plan.settings.processes > 1:
        raise MlrunError("processes: a trial is trained by one process; use --workers for more")
    if sampler == "grid":
        next(request.space.grid())
    files = [str(at_home(path).absolute()) for path in plan.settings.plugin]
    return replace(request, given={**request.given, "plugin": files}) if files else request
