"""Actions: from the thoughts of a state, new drafts. One generator a file."""

from thoughtgraph.generators.act import Act, Decide, Enact
from thoughtgraph.generators.call import Call, call
from thoughtgraph.generators.few_shot import FewShot, few_shot
from thoughtgraph.generators.fill import Fill
from thoughtgraph.generators.propose import Propose
from thoughtgraph.generators.sample import Sample

__all__ = ["Act", "Call", "Decide", "Enact", "FewShot", "Fill", "Propose", "Sample", "call", "few_shot"]
