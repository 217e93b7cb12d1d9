"""A Pipecat bot on the sidecar, for one caller at ws://127.0.0.1:8765: one session, charged to project `prod`.

voicegw-sidecar serve --config examples/voicegw.yaml
python examples/pipecat_bot.py
"""

import asyncio

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.server import SingleClientWebsocketServerParams as LineParams
from pipecat.transports.websocket.server import SingleClientWebsocketServerTransport as Line
from pipecat.workers.runner import WorkerRunner

from voicegw_sidecar import inference
from voicegw_sidecar.inference import pipecat

INSTRUCTIONS = "You answer the phone of Hydrangea and Sons, who sell flowers. Be brief."
VOICE = "f786b574-daa5-4673-aa0c-cbe3e8534c02"
SOUND = LineParams(serializer=ProtobufFrameSerializer(), audio_in_enabled=True, audio_out_enabled=True)


async def main(port: int = 8765) -> None:
    """Serve one call, and close its session after it."""
    inference.set_project("prod")
    async with inference.open_session():
        line = Line(host="127.0.0.1", port=port, params=SOUND)
        # whom the router picked; a local model once the budget is spent
        llm = pipecat.LLM("auto", settings=OpenAILLMService.Settings(system_instruction=INSTRUCTIONS))
        context = LLMContextAggregatorPair(
            LLMContext(),
            user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
        )
        stt, tts = pipecat.STT("deepgram/nova-3"), pipecat.TTS(f"cartesia/sonic-3:{VOICE}")
        call = PipelineWorker(
            Pipeline([line.input(), stt, context.user(), llm, tts, line.output(), context.assistant()])
        )

        @line.event_handler("on_client_connected")
        async def greet(*_: object) -> None:
            await call.queue_frame(TTSSpeakFrame("Hydrangea and Sons, hello."))

        @line.event_handler("on_client_disconnected")
        async def hang_up(*_: object) -> None:
            await call.cancel()

        runner = WorkerRunner()
        await runner.add_workers(call)
        await runner.run()


if __name__ == "__main__":
    asyncio.run(main())
