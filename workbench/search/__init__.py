"""The search: one Optuna study for each family, and a scheduler that runs trials in worker processes.

Optuna
    journal             open Optuna's journal so that a kill loses nothing
    optuna_internals    every use of Optuna's private interface
    storage             the trials of a study, active and finished
    samplers            samplers by name
    default_sampler     the sampler of a family's first trial: its defaults
    bounded_history     a sampler that sees only the best and the latest trials
    ensemble_objective  what a trial adds to the present ensemble
    pruners             stop unpromising trials at a rung or after a fold
    trial_copy          a copy of a study's trials with the scores of another metric
    trial_history       when trials ended, where in their ranges they were, which hyperparameters mattered
    dashboard           Optuna's dashboard, read-only

Running trials
    scheduler           the loop: ask, start, receive, tell, until the budget is spent
    events              what the loop yields
    allocation          which family gets the next trial
    first_turns         the order and the length of the families' first trials under a time limit
    family_costs        what a trial of each family costs by the size of the data
    cost_estimate       that cost, corrected by measured folds
    trial_recorder      ended trials on their way into MLflow, beside the search under a time limit
    limits              the limits of a trial and of a home
    time_estimate       the time that an active trial still needs
    pool                a process for every trial, forked from one that has loaded the libraries
    stored_specs        the data in a file that all workers map
    fork_server         a process that has libraries loaded and forks others
    worker              what runs in that process
    net_artifacts       a trial's nets: size, layers, diagram, Grad-CAM
    resource_usage      processor, memory and GPU use of a trial
"""
