"""Folders whose files are changed on purpose."""

import json

from bayeslaw.losses.file_digests import FILES


def from_elsewhere(folder):
    """Make a folder one whose manifest does not say what its files are, as those of other programs, and return it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop(FILES, None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
