"""MONAI MapTransforms of our own, and augmentation on whole batches."""
