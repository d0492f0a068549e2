"""What all reports share: the form of a question and its answer, opening a run, the grouped question."""
