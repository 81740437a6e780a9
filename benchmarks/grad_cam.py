"""Grad-CAM: closed form and autograd here against MONAI's, in one run.

    python benchmarks/grad_cam.py

CPU time of this thread, median of several calls; a forward pass without gradients is 1.
"""

import statistics
import time
from collections.abc import Callable

import torch
from monai.networks.nets import DenseNet121
from monai.visualize import GradCAM
from torch import nn

from medcnn.explain.grad_cam import explain_maps, grad_cam
from medcnn.nets.resnet import ResNet


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return 1e3 * statistics.median(times)


def as_trained(net: nn.Module) -> nn.Module:
    """Scales and shifts that are not those of a fresh net, whose maps are mostly zero."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return net.eval()


def compare(name: str, net: nn.Module, layer: str, size: tuple[int, ...], batch: int) -> None:
    net = as_trained(net)
    image = torch.rand(batch, 1, *size)
    with torch.no_grad():
        likely = int(net(image).mean(0).argmax())  # the other one may have nothing that speaks for it
    index = torch.full((batch,), likely)
    theirs = GradCAM(net, layer)
    module = net.get_submodule(layer)

    def forward() -> None:
        with torch.no_grad():
            net(image)

    # MONAI leaves its hooks on the net and they would be timed with ours: measure it first, then take them off.
    raw = theirs.compute_map(image, class_idx=likely).detach()
    monai = milliseconds(lambda: theirs.compute_map(image, class_idx=likely))
    module._backward_hooks.clear()
    module._forward_hooks.clear()
    explained = explain_maps(net, image, index)
    ours = grad_cam(net, module, image, index)
    spoke = float((ours > 0).float().mean())
    apart = (ours - raw[:, 0] / raw.flatten(1).amax(1).clamp(min=1e-30).view(-1, *[1] * len(size))).abs().max()
    one = milliseconds(forward)
    closed = milliseconds(lambda: explain_maps(net, image, index))
    autograd = milliseconds(lambda: grad_cam(net, module, image, index))
    print(
        f"| {name} | {one:.0f} ms | {closed / one:.2f} ({explained.method}) | {autograd / one:.2f} | {monai / one:.2f} "
        f"| {apart:.0e} | {spoke:.2f} |",
        flush=True,
    )


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print("| net, batch, image | forward | explain_maps, upsampled | grad_cam by autograd | MONAI | apart | above 0 |")
    print("|---|---|---|---|---|---|---|")
    densenet = DenseNet121(spatial_dims=2, in_channels=1, out_channels=8)
    compare("DenseNet121, 4, 224x224", densenet, "class_layers.relu", (224, 224), 4)
    compare("ResNet, 32, 96x96", ResNet(out_channels=8), "features", (96, 96), 32)
    volume = ResNet(spatial_dims=3, out_channels=8, widths=(16, 32, 64), depths=(1, 1, 1))
    compare("ResNet, 2, 48x48x48", volume, "features", (48, 48, 48), 2)


if __name__ == "__main__":
    main()
