"""Learning-rate schedules by optax, as the learning rates of an epoch's steps.

They are computed ahead of each epoch and enter its compiled program as an array: schedules of all kinds and lengths
share that program, and a resumed run needs nothing but the epoch's index.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float32

from cnn3.config import OptimizerConfig, ScheduleConfig

# From the learning rate, all steps and those of the warm-up to a schedule.
SCHEDULES: Mapping[str, Callable[[float, int, int], optax.Schedule]] = {
    "constant": lambda rate, _, warmup: _warm_up(rate, warmup, optax.constant_schedule(rate)),
    "linear": lambda rate, steps, warmup: _warm_up(rate, warmup, optax.linear_schedule(rate, 0.0, steps - warmup)),
    "cosine": lambda rate, steps, warmup: _warm_up(rate, warmup, optax.cosine_decay_schedule(rate, steps - warmup)),
    # defaults of torch.optim.lr_scheduler.OneCycleLR: from 1/25 of the rate, down to 1/250,000 of it
    "one_cycle": lambda rate, steps, warmup: optax.cosine_onecycle_schedule(steps, rate, warmup / steps),
}


def is_constant(schedule: ScheduleConfig) -> bool:
    """Tell whether the learning rate is the same in all steps."""
    return schedule.name == "constant" and schedule.warmup == 0


def warmup_steps(schedule: ScheduleConfig, steps: int) -> int:
    """Return in how many of a run's steps the learning rate rises."""
    return round((schedule.warmup or 0.0) * steps)


def learning_rates(
    optimizer: OptimizerConfig, schedule: ScheduleConfig, epoch: int, epochs: int, steps: int
) -> Float32[np.ndarray, " steps"]:
    """Return the learning rate of each step of an epoch.

    Args:
        optimizer: has the largest learning rate.
        schedule: how it changes.
        epoch: the epoch's index.
        epochs: the number of epochs over which the schedule runs.
        steps: the number of steps of an epoch.
    """
    total = epochs * steps
    rates = SCHEDULES[schedule.name](optimizer.learning_rate, total, warmup_steps(schedule, total))
    return np.asarray(jax.vmap(rates)(jnp.arange(epoch * steps, (epoch + 1) * steps)), np.float32)


def _warm_up(rate: float, steps: int, schedule: optax.Schedule) -> optax.Schedule:
    """Return a schedule that rises from zero to the rate in so many steps, and goes on as another."""
    return optax.join_schedules([optax.linear_schedule(0.0, rate, steps), schedule], [steps]) if steps else schedule
