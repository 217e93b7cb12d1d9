"""A LiveKit agent on the sidecar: one session for each job, charged to project `prod`, local models at need.

voicegw-sidecar serve --config examples/voicegw.yaml
python examples/livekit_agent.py console      # or dev, or start, as any LiveKit agent
"""

from livekit.agents import Agent, AgentServer, AgentSession, ErrorEvent, JobContext, cli, llm, stt, tts

from voicegw_sidecar import inference

INSTRUCTIONS = "You answer the phone of Hydrangea and Sons, who sell flowers. Be brief."
KINDS = (("stt", stt.STT, inference.STT), ("llm", llm.LLM, inference.LLM), ("tts", tts.TTS, inference.TTS))
server = AgentServer()


class Frugal(Agent):
    """The same agent on local models; what was refused is answered by them."""

    async def on_enter(self) -> None:
        self.session.generate_reply()


def conversation() -> AgentSession[None]:
    """Named models pass through to their providers; `auto` is whom the router picked for this session."""
    session: AgentSession[None] = AgentSession(
        stt=inference.STT("deepgram/nova-3"),
        llm=inference.LLM("auto"),
        tts=inference.TTS("cartesia/sonic-3"),
        turn_handling={"turn_detection": "vad"},
    )
    local = {}  # type: ignore[var-annotated]

    @session.on("error")
    def on_error(event: ErrorEvent) -> None:
        """Go on with local models once the day's budget is spent; `auto` does so by itself."""
        signal = inference.translate(event.error)
        kind, make = next((kind, make) for kind, is_of, make in KINDS if isinstance(event.source, is_of))
        if isinstance(signal, inference.BudgetThrottleSignal) and signal.stand_in and kind not in local:
            local[kind] = make(signal.stand_in)
            history = session.current_agent.chat_ctx
            session.update_agent(Frugal(instructions=INSTRUCTIONS, chat_ctx=history, **local))

    return session


@server.rtc_session()
async def answer(job: JobContext) -> None:
    """Answer one call."""
    inference.set_project("prod")
    call = await inference.open_session()
    job.add_shutdown_callback(call.close)
    session = conversation()
    await session.start(Agent(instructions=INSTRUCTIONS), room=job.room)
    session.say("Hydrangea and Sons, hello.")


if __name__ == "__main__":
    cli.run_app(server)
