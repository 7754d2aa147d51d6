"""fairseq plug-in (`--user-dir`): tasks, model, criteria, optimizer and schedule."""

import argparse

import torch

# fairseq's checkpoints hold this class; naming it keeps torch's weights-only loading on.
torch.serialization.add_safe_globals([argparse.Namespace])

# fairseq imports tasks and models of a plug-in by itself, criteria and optimizers never.
from stackbert_fairseq import (  # noqa: E402, F401
    glue_criterion,
    glue_task,
    model,
    optim,
    pretrain_criterion,
    pretrain_task,
)
