"""From a dump to binarized data: one module per step, used by the corpus and by the tasks alike."""
