"""Augmentation of a whole batch on its device: chance drawn on the CPU, then one resampling and a few sums."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from medcnn.errors import ConfigError
from medcnn.transforms import augment_stages as stages
from medcnn.transforms.augment_draw import Chance, Draw, Range
from medcnn.transforms.augment_grid import sampling_grid, sampling_matrix
from medcnn.transforms.augment_read import Padding, read_linear, read_nearest

BIAS_CELLS = 2  # a coil's sensitivity bends once or twice over a head
FOLD_FREE = 0.4  # of the distance of two control points


class BatchAugment(nn.Module):
    """Random geometry, resolution, tone, noise and erasing for batches ``(B, C, *spatial)`` in 2-D and 3-D.

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
        elastic: Largest smooth displacement along each axis, as a fraction of its size; most places move by less than
            half of it. At most ``0.4 / elastic_cells``, so that nothing folds.
        elastic_cells: Into how many cells the displacement divides each axis; fewer are smoother.
        bias_field: Largest logarithm of a smooth factor, as a receiving coil gives: 0.3 is 0.74 to 1.35 times.
        low_resolution: Largest extent of a scanned pixel in pixels of the image, one for all axes or one for each: a
            large one along a single axis stands for thick slices. Read back onto the grid; masks keep theirs.
        elastic_probability: Share with a smooth displacement.
        bias_probability: Share with a smooth factor.
        low_resolution_probability: Share at a lower resolution.
        voxel_size: Distance of neighbors along each axis, so that rotations keep lengths; None where it is the same.

    Raises:
        ConfigError: If a range is reversed, a probability or fraction lies outside [0, 1], or a displacement folds.

    References:
        What a cubic spline may displace without folding: Choi and Lee, 2000, doi:10.1006/gmod.2000.0531
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
        elastic: float = 0.0,
        elastic_cells: int = 4,
        bias_field: float = 0.0,
        low_resolution: float | Sequence[float] = 1.0,
        elastic_probability: float = 0.3,
        bias_probability: float = 0.3,
        low_resolution_probability: float = 0.2,
        voxel_size: Sequence[float] | None = None,
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
        self.clamp, self.voxel_size = clamp, voxel_size
        self.elastic, self.elastic_cells, self.bias_field = elastic, elastic_cells, bias_field
        self.low_resolution: float | Sequence[float] = low_resolution
        self.elastic_probability, self.bias_probability = elastic_probability, bias_probability
        self.low_resolution_probability = low_resolution_probability
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
        if self.elastic_cells < 1 or not 0 <= self.elastic * self.elastic_cells <= FOLD_FREE:
            raise ConfigError(
                f"BatchAugment: elastic must lie in [0, {FOLD_FREE} / elastic_cells], or the image folds; found "
                f"{self.elastic} with {self.elastic_cells} cells; lower either"
            )
        if self.bias_field < 0:
            raise ConfigError(f"BatchAugment: bias_field must be 0 or more, found {self.bias_field}")
        for name, least in (("low_resolution", 1.0), ("voxel_size", 1e-6)):
            values = getattr(self, name)
            if any(value < least for value in (values if isinstance(values, Sequence) else [values or 1])):
                raise ConfigError(f"BatchAugment: {name} must be {least:g} or more along each axis, found {values}")
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
        return self.render(image, draw) if mask is None else self.render_both(image, mask, draw)

    def sample(self, batch_size: int, spatial_dims: int, generator: torch.Generator) -> Draw:
        """Decide by chance what happens to each image of a batch."""
        self._check_axes(spatial_dims)
        chance = Chance(batch_size, generator)
        planes = spatial_dims * (spatial_dims - 1) // 2
        moved = chance.happens(self.geometry_probability)
        # A crop is a magnification whose window still lies inside the image.
        zoom = torch.where(moved, 1 / chance.between(self.crop, 1, 1), 1)
        inside = chance.between(-1, 1, spatial_dims) * (zoom - 1) / 2
        scale = torch.where(moved, chance.factor(self.scale), 1) * zoom
        flips = torch.tensor([axis in self.flip_axes for axis in range(spatial_dims)])
        flipped = chance.happens(self.flip_probability, spatial_dims) & flips
        shift = moved * chance.between(-self.translate, self.translate, spatial_dims)
        return Draw(  # in the order of the draws: what is new comes last, so that a seed keeps meaning what it meant
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
            thickness=self._thickness(chance, spatial_dims),
            displacement=chance.control_points(
                chance.sometimes(self.elastic_probability, 0, self.elastic),
                spatial_dims, self.elastic_cells, spatial_dims,
            ),
            log_bias=chance.control_points(
                chance.sometimes(self.bias_probability, 0, self.bias_field), 1, BIAS_CELLS, spatial_dims
            ),
        )  # fmt: skip

    def _check_axes(self, spatial_dims: int) -> None:
        if any(not 0 <= axis < spatial_dims for axis in self.flip_axes):
            raise ConfigError(f"flip_axes {self.flip_axes} name an axis that images with {spatial_dims} axes lack")
        for name in ("low_resolution", "voxel_size"):
            values = getattr(self, name)
            if isinstance(values, Sequence) and len(values) != spatial_dims:
                raise ConfigError(f"BatchAugment: {name} {values} must name {spatial_dims} axes, as the images have")

    def _thickness(self, chance: Chance, spatial_dims: int) -> Tensor:
        largest = self.low_resolution if isinstance(self.low_resolution, Sequence) else [self.low_resolution]
        # One throw for all axes: slices are thick together, or not at all.
        throw = chance.sometimes(self.low_resolution_probability, 0, 1)[:, None]
        return torch.tensor(largest, dtype=throw.dtype).expand(1, spatial_dims) ** throw

    def render(self, image: Tensor, draw: Draw) -> Tensor:
        """The images as ``draw`` decided: the same for one image alone as for that image in a batch."""
        return self._looks(image, self._moved(image, draw, self._grid(image, draw), read_linear), draw)

    def render_both(self, image: Tensor, mask: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Images and masks, moved by one grid; of masks only labels that were there come out."""
        if mask.shape[2:] != image.shape[2:] or len(mask) != len(image) or mask.ndim != image.ndim:
            size = ", ".join(map(str, image.shape[2:]))
            raise ValueError(f"masks must be ({len(image)}, M, {size}) as the images are, found {tuple(mask.shape)}")
        grid = self._grid(image, draw)
        moved = self._moved(image, draw, grid, read_linear)
        return self._looks(image, moved, draw), self._moved(mask, draw, grid, read_nearest)

    def _grid(self, image: Tensor, draw: Draw) -> Tensor | None:
        """Where those images are read that are read between their pixels."""
        if image.dtype not in (torch.float32, torch.float64):
            # Half precision cannot name a position in a large image.
            raise ValueError(f"images must be float32 or float64, found {image.dtype}; normalize them before")
        draw = draw[draw.resampled]
        if not len(draw.scale):
            return None
        matrix = sampling_matrix(image.shape[2:], draw, self.voxel_size).to(image)
        displacement = draw.displacement.to(image) if draw.displacement.any() else None
        return sampling_grid(image.shape[2:], matrix, displacement)

    def _moved(self, values: Tensor, draw: Draw, grid: Tensor | None, read: Callable[..., Tensor]) -> Tensor:
        resampled = draw.resampled
        if not resampled.all():
            values = values.clone()  # later stages write into it
        for axis, mirrored in enumerate(draw.mirrored.unbind(1), start=2):
            values = stages.on_chosen(values, mirrored, partial(torch.flip, dims=(axis,)))
        return stages.on_chosen(values, resampled, lambda chosen: read(chosen, grid, self.padding))

    def _looks(self, given: Tensor, image: Tensor, draw: Draw) -> Tensor:
        """What changes values and not places, for images that are ours to write."""
        image = stages.on_chosen(image, draw.log_bias.flatten(1).any(1), stages.bias_field, draw.log_bias)
        image = stages.on_chosen(image, draw.blur_sigma > 0, stages.blur, draw.blur_sigma)
        image = stages.on_chosen(image, (draw.thickness > 1).any(1), stages.low_resolution, draw.thickness)
        image = self._tone(image, draw)
        boxed = (draw.erase_extent > 0).all(1)
        image = stages.on_chosen(image, boxed, stages.erase, draw.erase_center, draw.erase_extent)
        layout = torch.channels_last if image.ndim == 4 else torch.channels_last_3d
        return image.contiguous(memory_format=layout) if given.is_contiguous(memory_format=layout) else image

    def _tone(self, image: Tensor, draw: Draw) -> Tensor:
        curved, noisy, biased = draw.gamma != 1, draw.noise_std > 0, draw.log_bias.flatten(1).any(1)
        shifted = (draw.contrast != 1) | (draw.brightness != 0)
        image = stages.on_chosen(image, curved, stages.gamma, draw.gamma)
        image = stages.on_chosen(image, shifted, stages.contrast, draw.contrast, draw.brightness)
        image = stages.on_chosen(image, noisy, stages.noise, draw.noise_std, draw.noise_seed)
        if self.clamp is None:
            return image
        least, largest = self.clamp
        return stages.on_chosen(image, curved | shifted | noisy | biased, lambda i: i.clamp(least, largest))
