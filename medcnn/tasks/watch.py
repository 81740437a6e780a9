"""stub"""

import pytorch_lightning as pl


class GradientWatch(pl.Callback):
    """stub"""
