"""Turns of a speech-to-speech session: only from the end of speech to the first audio, as nothing between is seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from msgspec import Struct

from voicegw_sidecar.meter.parts import Moments, interruption, parts_of
from voicegw_sidecar.meter.timed import Timed, Turn
from voicegw_sidecar.terms import NS_PER_S, Status

_SILENCE_NS = 5 * NS_PER_S  # an agent that was quiet for so long after its answer speaks up by itself


class _Group(Struct):
    """The responses to one piece of speech, and those to earlier pieces that were given up for it."""

    responses: list[Timed] = []
    abandoned: int = 0
    has_audio: bool = False
    quiet_ns: int = 0
    """When the last of it was heard or came."""

    def take(self, response: Timed) -> None:
        """Add a response."""
        self.responses.append(response)
        self.quiet_ns = max(self.quiet_ns, response.ended_ns or response.started_ns)
        if response.first_ns is not None:
            self.has_audio = True
            self.quiet_ns = max(self.quiet_ns, response.first_ns + response.audio_ns)


def turns(responses: Sequence[Timed]) -> list[Turn]:
    """Return the turns of responses in order, without their indices."""
    groups = _kept(_groups(responses))
    return [_turn(group, following) for group, following in zip_longest(groups, groups[1:]) if group is not None]


def _groups(responses: Sequence[Timed]) -> list[_Group]:
    """Put responses to their speech: the result of a function call is told in a response of its own.

    Where the end of speech is known, a response without one that comes before any speech, or long after its answer,
    is the agent's own doing and belongs nowhere. Where it never is, each response with audio stands for itself.
    """
    is_told = any(response.speech_ended_ns is not None for response in responses)
    groups: list[_Group] = []
    for response in responses:
        is_answered = not groups or groups[-1].has_audio
        if response.speech_ended_ns is not None or (not is_told and is_answered):
            groups.append(_Group())
        elif is_answered and (not groups or response.started_ns > groups[-1].quiet_ns + _SILENCE_NS):
            continue
        groups[-1].take(response)
    return [group for group in groups if is_told or group.has_audio]


def _kept(groups: Sequence[_Group]) -> list[_Group]:
    """Leave out what was given up before a sound of it came: the person had only paused."""
    kept: list[_Group] = []
    abandoned = 0
    for group in groups:
        is_given_up = all(response.status is Status.CANCELLED for response in group.responses)
        if is_given_up and not group.has_audio:
            abandoned += len(group.responses)
        else:
            group.abandoned, abandoned = abandoned, 0
            kept.append(group)
    return kept


def _turn(group: _Group, following: _Group | None) -> Turn:
    next_began_ns = None if following is None else following.responses[0].speech_began_ns
    ended_ns = group.responses[0].speech_ended_ns
    audio_ns = next((response.first_ns for response in group.responses if response.first_ns is not None), None)
    unplayed_s = interruption(group.responses, next_began_ns, is_last=following is None)
    return Turn(
        index=0,
        total_ms=parts_of(Moments(ended_ns=ended_ns, audio_ns=audio_ns)).total_ms,
        interrupted=unplayed_s is not None,
        llm_calls=len(group.responses) + group.abandoned,
        abandoned=group.abandoned,
        speech_ended_ns=ended_ns,
        audio_ns=audio_ns,
        unplayed_s=unplayed_s or 0.0,
    )
