"""The loss curve of a run as TensorBoard shows it, while it grows."""

from typing import Any

from stackbert_fairseq.curve import Point


class Live:
    """Writes every point of a stage's curve to a folder of TensorBoard's.

    Steps count from `updates_before`, the updates of the stages before, so that a recipe's stages,
    each a run of its own name and colour, follow one another on one axis.
    """

    def __init__(self, folder: str, updates_before: int) -> None:
        self.folder, self.updates_before = folder, updates_before
        self.writer: Any = None

    def add(self, point: Point, rate: float) -> None:
        """Show one point and the learning rate there; of points after it, from before a kill, none.

        The training loss is the mean since the point before (nats per masked token).
        """
        from torch.utils.tensorboard import SummaryWriter  # a second, for who wants it

        step = self.updates_before + point.update
        self.writer = self.writer or SummaryWriter(self.folder, purge_step=step, flush_secs=10)
        values = {
            "MLM loss/validation": point.valid_mlm_loss,
            "MLM loss/training": point.train_loss,
            "training/learning rate": rate,
            "training/tokens": point.tokens,
            "training/seconds": point.seconds,
        }
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()
