"""What is said in ten turns, and how the simulated providers take it.

The words are spoken by espeak-ng, so that speech begins, pauses and ends as in life; what is understood and what is
answered is scripted, with words that nobody else writes.
"""

from __future__ import annotations

from msgspec import Struct

from tests.simulator.sounds import PCM, spoken
from voicegw_sidecar.simulator import Listening, Script, Speaking, Thinking

GREETING = "Hydrangea and Sons, hello."
SECRETS = ("hydrangea", "marmalade", "warehouse", "parasol", "tricycle", "zeppelin", "windmill")
"""Words of what is heard, answered and said: nobody may keep them."""
_LEAD_S = 0.3  # of silence, which `spoken` begins with


class Turn(Struct, frozen=True):
    """What the person says, and the answer.

    ``goes_on`` is said as soon as the agent has asked its LLM about ``says``; what that would have answered,
    ``given_up``, is never heard. ``cuts_in``: the person begins while the answer before is being played.
    """

    says: str
    answer: str
    goes_on: str = ""
    given_up: str = ""
    cuts_in: bool = False
    asks_tool: bool = False

    @property
    def pieces(self) -> tuple[str, ...]:
        """What is said without a pause, piece by piece."""
        return (self.says, self.goes_on) if self.goes_on else (self.says,)

    @property
    def call_count(self) -> int:
        """How many LLM calls are made for it."""
        return len(self.pieces) + self.asks_tool


# Sentences without a pause inside them: a voice detector that took one for the end would cut them in two.
TURNS = (
    Turn("Where is my marmalade?", "It left the warehouse."),
    Turn("What is the weather like in Paris?", "It is sunny all day.", asks_tool=True),
    Turn("Yes.", "Then take a parasol."),
    Turn("Okay.", "Anything else today?"),
    Turn(
        "Who will bring it?",
        "By train to the coast, then by boat to the island, then by tricycle to your own front door.",
    ),
    Turn("No I want a zeppelin.", "As you like.", cuts_in=True),
    Turn("Please change my address.", "I have noted that.", goes_on="To twelve Windmill Lane.", given_up="To which?"),
    Turn("Yes.", "Very good then."),
    Turn("When will it be here?", "On Thursday morning."),
    Turn("Thank you.", "Goodbye and thanks."),
)


def script() -> Script:
    """The providers: about as fast as real ones; the voice comes faster than it is played."""
    answers = tuple(answer for turn in TURNS for answer in (turn.given_up, turn.answer) if answer)
    return Script(
        chat=Thinking(first_token_ms=300.0, token_interval_ms=8.0, answers=answers),
        listen=Listening(final_ms=80.0, utterances=tuple(piece for turn in TURNS for piece in turn.pieces)),
        tts=Speaking(first_audio_ms=60.0, s_per_char=0.05, pace=1.5),
    )


def speech() -> dict[str, bytes]:
    """Return the sound of everything that is said, with no silence around it; skips where nothing can speak."""
    lead_bytes = round(_LEAD_S * PCM.bytes_per_s)
    return {piece: spoken(piece, after_s=0.0)[lead_bytes:] for turn in TURNS for piece in turn.pieces}
