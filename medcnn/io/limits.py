"""Absolute limits on what is read, each checked before anything is allocated.

| what | at most |
|---|---|
| pixels of a 2-D image | 134 million (``MAX_PIXELS``): a 43 x 35 cm detector at 0.04 mm has 94 million |
| bytes of an encoded image or a deflated file | 1 GiB (``MAX_ENCODED_BYTES``) |
| bytes that a deflated file grows to | 1 GiB (``MAX_INFLATED_BYTES``), and 100 times its size |
| bytes of one header element | 64 MiB (``MAX_ELEMENT_BYTES``) |
| tiles, precincts and code blocks of a JPEG 2000 image | 1 million (``MAX_BLOCKS``) |
"""

MAX_PIXELS = 1 << 27
MAX_ENCODED_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_ELEMENT_BYTES = 64 << 20
MAX_BLOCKS = 1 << 20
