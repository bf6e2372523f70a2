"""From settings to a run on disk: comparison, checkpoints, the command line."""
