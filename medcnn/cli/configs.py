"""Where the configurations are that ship with medcnn."""

from pathlib import Path

from medcnn.errors import ConfigError


def configs_folder() -> Path:
    """The folder ``configs``: inside the package where it was installed from a wheel, beside it in a checkout.

    Raises:
        ConfigError: If neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "experiment").is_dir():
            return folder
    raise ConfigError(f"the configurations are missing from {package}: install medcnn again")
