"""Finding out which calls are of one conversation, where nothing on the wire says so.

A transcript that a speech-to-text stream delivered comes back as the last message of the next LLM request, and what
the LLM answers comes back as the text to speak. Texts are compared in memory, kept for seconds, and stored nowhere.
"""

from voicegw_sidecar.stitching.conversation import Conversation, Peer, Process, Strand
from voicegw_sidecar.stitching.register import Register
from voicegw_sidecar.stitching.stitcher import Line, Stitcher

__all__ = ["Conversation", "Line", "Peer", "Process", "Register", "Stitcher", "Strand"]
