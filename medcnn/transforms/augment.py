"""Augmentation of a whole batch on its device: chance drawn on the CPU, then one resampling and a few sums."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medcnn.errors import ConfigError
from medcnn.transforms import augment_stages as stages
from medcnn.transforms.augment_stages import Mode, Padding

Range = tuple[float, float]


@dataclass(frozen=True)
class Draw:
    """What chance decided for each of ``B`` images with ``d`` spatial axes, on the CPU; neutral values change nothing.

    Attributes:
        rotation: Degrees for each plane ``(B, d(d-1)/2)``; planes as in ``combinations(range(d), 2)``.
        shear: Degrees for each plane, same shape.
        scale: Factor for each axis ``(B, d)``, with crop and mirroring in it.
        shift: Fraction of the size for each axis ``(B, d)``.
        blur_sigma: Pixels ``(B,)``.
        gamma: Exponent ``(B,)``.
        contrast: Factor about the image's mean ``(B,)``.
        brightness: Offset ``(B,)``.
        noise_std: Standard deviation ``(B,)``.
        noise_seed: int64 ``(B,)``.
        erase_center: Fraction of the size for each axis ``(B, d)``.
        erase_extent: Fraction of the size for each axis ``(B, d)``; 0 erases nothing.
    """

    rotation: Tensor
    shear: Tensor
    scale: Tensor
    shift: Tensor
    blur_sigma: Tensor
    gamma: Tensor
    contrast: Tensor
    brightness: Tensor
    noise_std: Tensor
    noise_seed: Tensor
    erase_center: Tensor
    erase_extent: Tensor

    @classmethod
    def neutral(cls, batch_size: int, spatial_dims: int) -> "Draw":
        """A draw that leaves every image as it is."""
        planes = torch.zeros(batch_size, spatial_dims * (spatial_dims - 1) // 2, dtype=torch.float64)
        axes = torch.zeros(batch_size, spatial_dims, dtype=torch.float64)
        zero = torch.zeros(batch_size)
        return cls(planes, planes, axes + 1, axes, zero, zero + 1, zero + 1, zero, zero, zero.long(), axes, axes)

    def __getitem__(self, index: slice) -> "Draw":
        """The draw of some of the images."""
        return Draw(**{name: values[index] for name, values in vars(self).items()})

    @property
    def moved(self) -> Tensor:
        """Which images change their geometry, bool ``(B,)``."""
        turned = self.rotation.any(1) | self.shear.any(1)
        return turned | self.shift.any(1) | (self.scale != 1).any(1)


class BatchAugment(nn.Module):
    """Random geometry, tone, noise, blur and erasing for batches ``(B, C, *spatial)`` in 2-D and 3-D.

    Everything is off until a range is given, and a stage that is off costs nothing. No axis is mirrored unless
    ``flip_axes`` names it: a chest is never turned upside down, and left is not right where laterality carries meaning.
    The ranges of brightness, noise and clamping presume images in [0, 1]. Used on training batches alone; the data
    module sees to that.

    Args:
        rotate_degrees: Largest rotation about the center, in every plane.
        translate: Largest shift along each axis, as a fraction of its size.
        scale: Least and largest magnification.
        shear_degrees: Largest shear.
        crop: Least side of a random crop as a fraction of the image, magnified to the full size; 1 crops nothing.
        flip_axes: Spatial axes that may be mirrored; in 2-D, 0 is rows (upside down) and 1 is columns (left-right).
        brightness: Largest offset.
        contrast: Least and largest factor about the image's mean.
        gamma: Least and largest exponent.
        noise_std: Largest standard deviation of normal noise.
        blur_sigma: Largest sigma of a Gaussian blur in pixels.
        erase: Largest side of an erased box as a fraction of the image.
        geometry_probability: Share of images that are rotated, shifted, scaled, sheared and cropped.
        flip_probability: Share mirrored along each allowed axis.
        tone_probability: Share changed by each of brightness, contrast and gamma.
        noise_probability: Share with noise.
        blur_probability: Share blurred.
        erase_probability: Share with a box erased.
        padding: What lies outside the image: its ``border`` repeated, or ``zeros``.
        clamp: Range to which images with changed tone or noise are held, or None.

    Raises:
        ConfigError: If a range is reversed, or a probability or fraction lies outside [0, 1].
    """

    def __init__(
        self,
        rotate_degrees: float = 0.0,
        translate: float = 0.0,
        scale: Range = (1.0, 1.0),
        shear_degrees: float = 0.0,
        crop: float = 1.0,
        flip_axes: Sequence[int] = (),
        brightness: float = 0.0,
        contrast: Range = (1.0, 1.0),
        gamma: Range = (1.0, 1.0),
        noise_std: float = 0.0,
        blur_sigma: float = 0.0,
        erase: float = 0.0,
        geometry_probability: float = 1.0,
        flip_probability: float = 0.5,
        tone_probability: float = 0.5,
        noise_probability: float = 0.5,
        blur_probability: float = 0.2,
        erase_probability: float = 0.2,
        padding: Padding = "border",
        clamp: Range | None = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.rotate_degrees, self.translate, self.scale = rotate_degrees, translate, scale
        self.shear_degrees, self.crop, self.flip_axes = shear_degrees, crop, tuple(flip_axes)
        self.brightness, self.contrast, self.gamma = brightness, contrast, gamma
        self.noise_std, self.blur_sigma, self.erase = noise_std, blur_sigma, erase
        self.geometry_probability, self.flip_probability = geometry_probability, flip_probability
        self.tone_probability, self.noise_probability = tone_probability, noise_probability
        self.blur_probability, self.erase_probability = blur_probability, erase_probability
        self.padding: Padding = padding
        self.clamp = clamp
        self._check()

    def _check(self) -> None:
        for name in ("scale", "contrast", "gamma"):
            least, largest = getattr(self, name)
            if not 0 < least <= largest:
                raise ConfigError(f"BatchAugment: {name} must be (least, largest) above 0, found ({least}, {largest})")
        fractions = ["crop", "erase", "translate", *(name for name in vars(self) if name.endswith("_probability"))]
        for name in fractions:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"BatchAugment: {name} must lie in [0, 1], found {getattr(self, name)}")
        if self.crop == 0:
            raise ConfigError("BatchAugment: crop is the least side that is kept and must be above 0, found 0")
        if self.padding not in ("border", "zeros"):
            raise ConfigError(f"BatchAugment: padding must be border or zeros, found {self.padding}")

    def forward(
        self, image: Tensor, generator: torch.Generator, mask: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Draw and render.

        Args:
            image: float32 images ``(B, C, *spatial)`` on any device; not written.
            generator: The only source of chance, on the CPU, so that a seed means the same on every device.
            mask: Labels ``(B, M, *spatial)`` of any dtype, moved with the image and read by the nearest neighbor.

        Returns:
            The images, or with ``mask`` images and masks; shape, dtype, device and memory format as given.
        """
        draw = self.sample(len(image), image.ndim - 2, generator)
        if mask is None:
            return self.render(image, draw)
        return self.render(image, draw), self.render_mask(mask, draw)

    def sample(self, batch_size: int, spatial_dims: int, generator: torch.Generator) -> Draw:
        """Decide by chance what happens to each image of a batch."""
        if any(not 0 <= axis < spatial_dims for axis in self.flip_axes):
            raise ConfigError(f"flip_axes {self.flip_axes} name an axis that images with {spatial_dims} axes lack")
        chance = _Chance(batch_size, generator)
        planes = spatial_dims * (spatial_dims - 1) // 2
        moved = chance.happens(self.geometry_probability)
        # A crop is a magnification whose window still lies inside the image.
        zoom = torch.where(moved, 1 / chance.between(self.crop, 1, 1), 1)
        inside = chance.between(-1, 1, spatial_dims) * (zoom - 1) / 2
        scale = torch.where(moved, chance.factor(self.scale), 1) * zoom
        flips = torch.tensor([axis in self.flip_axes for axis in range(spatial_dims)])
        flipped = chance.happens(self.flip_probability, spatial_dims) & flips
        shift = moved * chance.between(-self.translate, self.translate, spatial_dims)
        return Draw(
            rotation=moved * chance.between(-self.rotate_degrees, self.rotate_degrees, planes),
            shear=moved * chance.between(-self.shear_degrees, self.shear_degrees, planes),
            scale=torch.where(flipped, -scale, scale),
            shift=shift * zoom + inside,
            gamma=torch.where(chance.happens(self.tone_probability), chance.factor(self.gamma), 1).flatten(),
            contrast=torch.where(chance.happens(self.tone_probability), chance.factor(self.contrast), 1).flatten(),
            brightness=chance.sometimes(self.tone_probability, -self.brightness, self.brightness),
            blur_sigma=chance.sometimes(self.blur_probability, 0, self.blur_sigma),
            noise_std=chance.sometimes(self.noise_probability, 0, self.noise_std),
            noise_seed=torch.randint(2**32, (batch_size,), generator=generator),
            erase_center=chance.between(0, 1, spatial_dims),
            erase_extent=chance.happens(self.erase_probability) * chance.between(0, self.erase, spatial_dims),
        )

    def render(self, image: Tensor, draw: Draw) -> Tensor:
        """The images as ``draw`` decided: the same for one image alone as for that image in a batch."""
        if image.dtype not in (torch.float32, torch.float64):
            # Half precision cannot name a position in a large image.
            raise ValueError(f"images must be float32 or float64, found {image.dtype}; normalize them before")
        given = image
        image = self._move(image, draw, "bilinear")
        image = stages.on_chosen(image, draw.blur_sigma > 0, stages.blur, draw.blur_sigma)
        image = self._tone(image, draw)
        boxed = (draw.erase_extent > 0).all(1)
        image = stages.on_chosen(image, boxed, stages.erase, draw.erase_center, draw.erase_extent)
        if image.ndim == 4 and given.is_contiguous(memory_format=torch.channels_last):
            image = image.contiguous(memory_format=torch.channels_last)
        return image

    def render_mask(self, mask: Tensor, draw: Draw) -> Tensor:
        """Masks ``(B, M, *spatial)`` moved as the images of the same draw; only labels that were there come out."""
        return self._move(mask.float(), draw, "nearest").to(mask.dtype)

    def _move(self, image: Tensor, draw: Draw, mode: Mode) -> Tensor:
        moved = draw.moved
        if not moved.all():
            image = image.clone()  # later stages write into it
        if not moved.any():
            return image
        matrix = stages.sampling_matrix(tuple(image.shape[2:]), draw.rotation, draw.shear, draw.scale, draw.shift)
        return stages.on_chosen(image, moved, lambda i, m: stages.resample(i, m, mode, self.padding), matrix)

    def _tone(self, image: Tensor, draw: Draw) -> Tensor:
        curved, noisy = draw.gamma != 1, draw.noise_std > 0
        shifted = (draw.contrast != 1) | (draw.brightness != 0)
        image = stages.on_chosen(image, curved, stages.gamma, draw.gamma)
        image = stages.on_chosen(image, shifted, stages.contrast, draw.contrast, draw.brightness)
        image = stages.on_chosen(image, noisy, stages.noise, draw.noise_std, draw.noise_seed)
        if self.clamp is None:
            return image
        least, largest = self.clamp
        return stages.on_chosen(image, curved | shifted | noisy, lambda i: i.clamp(least, largest))


class _Chance:
    """Columns of chance for a batch, from one generator."""

    def __init__(self, batch_size: int, generator: torch.Generator) -> None:
        self.batch_size, self.generator = batch_size, generator

    def between(self, least: float, largest: float, columns: int) -> Tensor:
        """Uniform ``(B, columns)``, float64: the matrices are built on the CPU, where it costs nothing."""
        uniform = torch.rand(self.batch_size, columns, generator=self.generator, dtype=torch.float64)
        return uniform * (largest - least) + least

    def factor(self, bounds: Range) -> Tensor:
        """``(B, 1)`` uniform in the logarithm: halving is as likely as doubling."""
        return self.between(math.log(bounds[0]), math.log(bounds[1]), 1).exp()

    def happens(self, probability: float, columns: int = 1) -> Tensor:
        """Bool ``(B, columns)``."""
        return self.between(0, 1, columns) < probability

    def sometimes(self, probability: float, least: float, largest: float) -> Tensor:
        """Uniform ``(B,)`` for a share of the images, 0 for the rest."""
        return (self.happens(probability) * self.between(least, largest, 1)).flatten()
