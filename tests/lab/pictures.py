"""The pictures of the README: the first article's server before and after the state.

``make pictures`` writes them to ``docs`` and prints the text.
"""

from pathlib import Path

import multihoming_diagram as diagram
import multihoming_host as host
import multihoming_picture as picture
from network import entered, first_article

DOCS = Path(__file__).resolve().parents[2] / "docs"
PILLAR = {
    "tables": {"gateway1": 201},
    "interfaces": {"eth1": {"table": "gateway1", "gateway": "192.168.1.254"}},
    "backend": "none",
}


def pictures():
    """Return name -> the picture of the first article's server."""
    with first_article(ipv6=False) as network, entered(network.server):
        before = picture.picture(PILLAR, True, "server")
        host.apply(PILLAR)
        return {"before": before, "after": picture.picture(PILLAR, True, "server")}


def main():
    """Write the pictures."""
    DOCS.mkdir(exist_ok=True)
    for name, drawn in pictures().items():
        (DOCS / f"{name}.svg").write_text(diagram.draw(drawn, "svg"), encoding="utf-8")
        print(diagram.draw(drawn, "text"))


if __name__ == "__main__":
    main()
