"""The search: Optuna studies, one for each family, asked by a scheduler that owns a pool of worker processes.

books       what was asked and told: Optuna's journal, the truth about every trial
samplers    who suggests; the first trial of a family is its known-good default
pruners     who ends a trial after a poor fold
allocation  which family gets the next trial
pool        a process for every trial, forked from one that has the libraries loaded
worker      what runs in that process
scheduler   the loop: ask, start, listen, tell, until the budget is spent
events      what the loop tells whoever is looking
"""
