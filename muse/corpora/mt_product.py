"""MT-Product: Chinese names of goods, one character a token, one type of entity.

The format is that of Twitter-2015, see `muse/corpora/twitter.py`. A token may be a full-width
blank, which no tokeniser keeps.
"""

from muse.config import DataConfig
from muse.corpora.tweet import Corpus
from muse.corpora.twitter import read_tagged

TYPES = ("MISC",)


def read_mt_product(config: DataConfig) -> Corpus:
    """Read MT-Product."""
    return read_tagged(config, TYPES)
