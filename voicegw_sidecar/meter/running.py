"""One exchange while it is open: its marks, and what was counted and reported of it so far."""

from __future__ import annotations

from voicegw_sidecar.events import Began
from voicegw_sidecar.meter.counting import StrippedLength
from voicegw_sidecar.terms import FirstBasis, Mark, Usage

_MODEL_LIMIT_CHARS = 128


class Running:
    """One exchange while it is open."""

    def __init__(self, ref: int, event: Began, at_ns: int) -> None:
        self.ref = ref
        self.key = event.key
        self.modality = event.modality
        self.model = name_of(event.model)
        self.input_chars = event.input_chars
        self.upload_s = event.audio_s
        self.marks_ns = {Mark.STARTED: at_ns}
        self.spoken = StrippedLength()
        self.output_chars = 0
        self.audio_out_s: float | None = None
        self.audio_out_known = True
        self.reported: Usage | None = None
        self.has_interim = False
        self.has_other_rates = False
        self.first_basis: FirstBasis | None = None
        self.speech_start_s: float | None = None
        self.speech_end_s: float | None = None
        self.has_content = False

    def mark(self, mark: Mark, at_ns: int) -> None:
        """Stamp a mark unless it is stamped already."""
        self.marks_ns.setdefault(mark, at_ns)

    def said(self, at_ns: int, *, is_call: bool) -> None:
        """Stamp the marks of an LLM's answer until its content has begun: after that there are none left."""
        self.mark(Mark.FIRST_TOKEN, at_ns)
        if not is_call:
            self.mark(Mark.FIRST_CONTENT, at_ns)
            self.has_content = True

    @property
    def has_output(self) -> bool:
        return any(mark in self.marks_ns for mark in (Mark.FIRST_TOKEN, Mark.FIRST_AUDIO, Mark.FINAL))


def name_of(model: str | None) -> str | None:
    """Return a model's name as it can be stored: short, and with nothing that is no text."""
    if not model:
        return None
    return model[:_MODEL_LIMIT_CHARS].encode("utf-8", "replace").decode()
