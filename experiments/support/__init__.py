"""What the experiments share: command line, runner, reported numbers, verdicts, tables, figures, documents."""
