"""What a study asks, and what its answer is worth: in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import format_list
from workbench.report.formatting import clock, count_noun, number, spread
from workbench.report.report_data import ReportData


@dataclass(frozen=True)
class KeyFigure:
    """A figure that is brought out, with what it is of."""

    name: str
    value: str
    what: str
    remark: str = ""


def question(story: ReportData) -> str:
    """Say what is asked."""
    asked = story.question
    test = "" if asked.test_rows is None else f", {asked.test_rows:,} to predict"
    classes = "" if asked.classes is None or asked.task == "binary" else f" of {len(asked.classes)} classes"
    target = format_list([target.name for target in asked.targets], 6) if asked.targets else asked.target
    return (
        f"Predict {target} ({asked.task}{classes}) from {asked.source}: {count_noun(asked.rows, 'row')}{test}. "
        f"Scored by {asked.metric}, {'lower' if story.sign > 0 else 'higher'} is better; {asked.folds}."
    )


def facts(story: ReportData) -> list[KeyFigure]:
    """Return what the study came to: its best single model, its ensemble, its trials."""
    return [_best(story), _ensemble(story), _trials(story)]


def _best(story: ReportData) -> KeyFigure:
    if not story.complete:
        return KeyFigure("Best single model", "–", "no trial is complete yet")
    best = story.complete[0]
    remarks = [] if best.std is None else [f"± {best.std:.2g} over the folds"]
    if story.ensemble is not None and story.ensemble["candidates"] > 1:
        # The best of many is a choice that flatters itself: what is to be compared with an honest score is honest too.
        remarks.append(f"honest, as a choice among many: {number(story.ensemble['rivals']['best']['honest_score'])}")
    return KeyFigure("Best single model", number(best.score), best.name, "; ".join(remarks))


def _ensemble(story: ReportData) -> KeyFigure:
    document = story.ensemble
    if document is None:
        return KeyFigure("Ensemble", "–", "none is made yet")
    members, considered = len(document["members"]), document["candidates"]
    what = f"honest score of {members} of {considered} models" if considered > 1 else "of the only model"
    return KeyFigure("Ensemble", spread(document["honest_score"], document["honest_se"]), what, gain(story))


def gain(story: ReportData) -> str:
    """Say how much better the ensemble is than the best single model, and how sure that is."""
    document = story.ensemble
    if document is None or document["candidates"] < 2:
        return ""
    if document["remark"]:
        return str(document["remark"])
    best = document["rivals"]["best"]
    error = "" if best["gain_se"] is None else f" ± {best['gain_se']:.2g}"
    return f"Better than the best single model by {best['gain']:.2g}{error}."


def _trials(story: ReportData) -> KeyFigure:
    counts = {state: sum(row.state == state for row in story.trials) for state in ("complete", "pruned", "failed")}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    parts += [f"{story.under_way} under way or waiting"] if story.under_way else []
    spent = max(story.ended.values(), default=0.0)
    return KeyFigure("Trials", f"{len(story.trials):,}", ", ".join(parts), f"{clock(spent)} of search" if spent else "")


def certificate(story: ReportData) -> str:
    """Say in plain words what is proven about the weights."""
    document = story.ensemble
    if document is None:
        return ""
    if document["gap"] is None:
        return (
            f"No certificate exists for {document['metric']} with the method {document['method']}: other weights of "
            "the same candidates may be better."
        )
    return (
        f"No other weights of the same candidates can be better by more than {document['gap']:.2g} "
        f"{document['metric']} on these rows; that is proven, not estimated."
    )


def honesty(story: ReportData) -> str:
    """Say what the honest score is."""
    document = story.ensemble
    if document is None:
        return ""
    return (
        f"On the rows that its weights were fitted to, the ensemble scores {number(document['score'])}. The honest "
        f"score, {spread(document['honest_score'], document['honest_se'])}, is that of weights fitted fold by fold on "
        "the other folds; ± is one standard error, as rows are drawn anew."
    )


def architectures(story: ReportData) -> str:
    """Say whose nets are shown."""
    whose = (
        "The best trial of each family that has a net."
        if story.ensemble is None
        else "The members of the ensemble that have nets, the heaviest first."
    )
    return f"{whose} Shown is the model of the last fold, as Keras draws it or lists its layers."
