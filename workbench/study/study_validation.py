"""The words of a study file, each checked by the package that owns it, before anything heavy loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from workbench import data, ensemble, evaluation, models
from workbench.config import StudyConfig
from workbench.errors import ConfigError, EnsembleError, EvaluationError, FamilyError, SearchError
from workbench.models.nn import backbone_config, callbacks, word_vectors
from workbench.models.wrappers import user_code
from workbench.search.pruners import get_pruner
from workbench.search.samplers import check_goal, check_sampler


def check(config: StudyConfig) -> None:
    """Refuse what no room knows, naming file and key.

    Raises:
        ConfigError: a family, metric, sampler, pruner or method is not known, or not installed.
        WorkbenchError: what `data.peek` raises.
    """
    for key, ask in _questions(config):
        with _naming(config, key):
            ask()
    doubles = sorted({name for name in config.families if config.families.count(name) > 1})
    if doubles:
        raise config.error("families", "must name each family once", doubles)
    data.peek(config)


def _questions(config: StudyConfig) -> Iterator[tuple[str, Callable[[], object]]]:
    for number, family in enumerate(config.families):
        yield f"families[{number}]", partial(models.get_entry, family, config.resolve)
    if config.metric is not None:
        yield "metric", partial(evaluation.check, config.metric, config.resolve)
    for number, metric in enumerate(config.also):
        yield f"also[{number}]", partial(evaluation.check, metric, config.resolve)
    for number, callback in enumerate(config.training.callbacks):
        yield f"training.callbacks[{number}]", partial(user_code.check, callback, config.resolve)
    if config.training.tensorboard is not None:
        yield "training.tensorboard", callbacks.check_tensorboard
    if "pretrained" in config.families:
        yield "training.pretrained", partial(backbone_config.check_configured, config.training.pretrained)
    yield "training.pretrained.base", partial(backbone_config.check_base, config.training.pretrained, config.resolve)
    check_weights = partial(backbone_config.check_weights, config.training.pretrained, config.resolve)
    yield "training.pretrained.weights", check_weights
    yield "training.word_vectors.file", partial(word_vectors.check, config.training.word_vectors, config.resolve)
    yield "search.sampler", partial(check_sampler, config.search.sampler)
    yield "search.goal", partial(check_goal, config.search.goal, config.search.sampler)
    yield "search.pruner", partial(get_pruner, config.search.pruner)
    if config.ensemble.method is not None:
        yield "ensemble.method", partial(ensemble.check, config.ensemble.method, targets=len(config.data.targets))
    yield "ensemble.weights", partial(_check_weights, config)


def _check_weights(config: StudyConfig) -> None:
    """Refuse weights that cannot be found, by what the study file says; `Competition.check` asks the data."""
    asked, named = config.ensemble.weights, len(config.data.targets)
    targets = named or (2 if asked == "target" else 1)
    method = config.ensemble.method or ensemble.BlendOptions.method
    ensemble.check_weights(asked, method, targets=targets, classes=3)


@contextmanager
def _naming(config: StudyConfig, key: str) -> Iterator[None]:
    """Put file and key before the owner's own sentence."""
    try:
        yield
    except (FamilyError, EvaluationError, SearchError, EnsembleError) as error:
        sentence = str(error)
        for word in ("metric ", "method ", "weights "):
            sentence = sentence.removeprefix(word)
        raise ConfigError(f"{config.file}: {key} {sentence}") from error
