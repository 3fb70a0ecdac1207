"""The search: Optuna studies, one for each family, asked by a scheduler that owns a pool of worker processes.

books       what was asked and told: Optuna's journal, the truth about every trial
journal     how Optuna's journal lies on disk
dashboard   Optuna's own pages, to look at
samplers    who suggests; the first trial of a family is its known-good default
horizon     what a sampler sees: the best and the latest trials, by their scores or by what the goal says
goal        what a trial adds to the present ensemble
pruners     who ends a poor trial, by fold and progress
allocation  which family gets the next trial
limits      what a trial and a home may take
pace        how long a trial under way still needs
pool        a process for every trial, forked from one that has the libraries loaded
worker      what runs in that process
scheduler   the loop: ask, start, listen, tell, until the budget is spent
history     what Optuna knows of the past: when trials ended, where in their ranges they were, what mattered
events      what the loop tells whoever is looking
"""
