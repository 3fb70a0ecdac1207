"""The figures of a study, one file each: computed from the story first, drawn second.

A figure is a module with two functions. `compute(story)` returns its numbers, as a frozen dataclass that says what
they are, or None where the study has nothing to show; `draw(numbers)` returns them drawn.
"""
