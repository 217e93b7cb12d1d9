"""The one table of which client needs which line, as docs/providers.md has it: each was played by the real client.

tests/cli/test_client_lines.py compares the two, and tries which clients obey a variable instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from voicegw_sidecar.cli.variables import project_path

OPENAI, ANTHROPIC, GROQ = "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GROQ_BASE_URL"


class ClientLine(Struct, frozen=True):
    """A client of a provider, and the line that points it here.

    ``template`` has ``{base}`` and ``{ws}`` for the provider's address, ``{host}`` for the sidecar's own as a
    WebSocket's, ``{project_header}`` for the header of a client that keeps no path. ``variable`` is the one that does
    the same without a line.
    """

    client: str
    provider: str
    template: str
    variable: str | None = None

    def pasted(self, address: str, project: str | None) -> str:
        """Return the line for a sidecar at ``address``, ``http://host:port``, and a project, if one is named."""
        path = project_path(project)
        host = urlsplit(address).netloc
        base = f"{host}{path}/{self.provider}"
        header = f', extra_headers={{"X-VoiceGW-Project": "{project}"}}' if path else ""
        texts = {"{base}": f"http://{base}", "{ws}": f"ws://{base}", "{host}": f"ws://{host}",
                 "{project_header}": header}  # fmt: skip
        line = self.template
        for name, text in texts.items():
            line = line.replace(name, text)
        return line


def _sdk(provider: str, template: str, variable: str | None = None) -> ClientLine:
    return ClientLine(f"{provider} SDK", provider, template, variable)


def _livekit(client: str, arguments: str, variable: str | None = None, provider: str = "") -> ClientLine:
    return ClientLine(f"LiveKit {client}", provider or client.partition(".")[0], f"{client}({arguments})", variable)


def _pipecat(provider: str, service: str, arguments: str, variable: str | None = None) -> ClientLine:
    return ClientLine(f"Pipecat {service}", provider, f"{service}({arguments})", variable)


_DEEPGRAM_ENVIRONMENT = 'base="{base}", production="{ws}", agent="{base}", agent_rest="{base}"'
_V1 = 'base_url="{base}/v1"'

SDKS = (
    _sdk("openai", f"AsyncOpenAI({_V1})", OPENAI),
    _sdk("anthropic", 'AsyncAnthropic(base_url="{base}")', ANTHROPIC),
    _sdk("groq", 'AsyncGroq(base_url="{base}")', GROQ),
    _sdk("deepgram", f"AsyncDeepgramClient(environment=DeepgramClientEnvironment({_DEEPGRAM_ENVIRONMENT}))"),
    _sdk("assemblyai", 'AsyncStreamingClient(StreamingClientOptions(api_host="{ws}"))'),
    _sdk("assemblyai", 'aai.settings.base_url = "{base}"'),
    _sdk("cartesia", 'AsyncCartesia(base_url="{base}")'),
    _sdk("cartesia", 'AsyncCartesia(base_url="{base}", websocket_base_url="{ws}")'),
    _sdk("elevenlabs", 'AsyncElevenLabs(base_url="{base}")'),
    _sdk("elevenlabs", 'client = ElevenLabs(base_url="{base}"); client.text_to_speech._ws_base_url = "{ws}"'),
)
LIVEKIT = (
    _livekit("openai.LLM", _V1, OPENAI),
    _livekit("openai.responses.LLM", f"{_V1}, use_websocket=False", OPENAI),
    _livekit("openai.responses.LLM", 'base_url="{base}/v1/responses"'),
    _livekit("groq.LLM", 'base_url="{base}/openai/v1"'),
    _livekit("openai.LLM.with_ollama", _V1, provider="ollama"),
    _livekit("anthropic.LLM", 'base_url="{base}"', ANTHROPIC),
    _livekit("deepgram.STT", 'base_url="{base}/v1/listen"'),
    _livekit("deepgram.STTv2", 'base_url="{base}/v2/listen"'),
    _livekit("assemblyai.STT", 'base_url="{base}"'),
    _livekit("cartesia.STT", 'base_url="{base}"'),
    _livekit("elevenlabs.STT", _V1),
    _livekit("openai.STT", _V1, OPENAI),
    _livekit("openai.STT", f"{_V1}, use_realtime=True", OPENAI),
    _livekit("groq.STT", 'base_url="{base}/openai/v1"'),
    _livekit("openai.TTS", _V1, OPENAI),
    _livekit("groq.TTS", 'base_url="{base}/openai/v1"'),
    _livekit("deepgram.TTS", 'base_url="{base}/v1/speak"'),
    _livekit("deepgram.TTSv2", 'base_url="{base}/v2/speak"'),
    _livekit("cartesia.TTS", 'base_url="{base}"'),
    _livekit("elevenlabs.TTS", _V1),
    _livekit("openai.STT", f'{_V1}, api_key="none"', provider="whisper"),
    _livekit("openai.TTS", f'{_V1}, api_key="none"', provider="kokoro"),
    _livekit("openai.realtime.RealtimeModel", 'base_url="{base}/v1/realtime"', OPENAI),
)
PIPECAT = (
    _pipecat("openai", "OpenAILLMService", _V1, OPENAI),
    _pipecat("groq", "GroqLLMService", 'base_url="{base}/openai/v1"'),
    _pipecat("ollama", "OLLamaLLMService", _V1),
    _pipecat("openai", "OpenAIResponsesHttpLLMService", _V1, OPENAI),
    _pipecat("anthropic", "AnthropicLLMService", 'client=AsyncAnthropic(base_url="{base}")', ANTHROPIC),
    _pipecat("openai", "OpenAIResponsesLLMService", f'ws_url="{{ws}}/v1/responses", {_V1}'),
    _pipecat("openai", "OpenAIRealtimeLLMService", 'base_url="{ws}/v1/realtime"'),
    _pipecat("deepgram", "DeepgramSTTService", 'base_url="{base}"'),
    _pipecat("deepgram", "DeepgramFluxSTTService", 'url="{ws}/v2/listen"'),
    _pipecat("assemblyai", "AssemblyAISTTService", 'api_endpoint_base_url="{ws}/v3/ws"'),
    _pipecat("cartesia", "CartesiaSTTService", 'base_url="{host}"{project_header}'),
    _pipecat("cartesia", "CartesiaTurnsSTTService", 'url="{ws}/stt/turns/websocket"'),
    _pipecat("openai", "OpenAIRealtimeSTTService", 'base_url="{ws}/v1/realtime"'),
    _pipecat("openai", "OpenAISTTService", _V1, OPENAI),
    _pipecat("groq", "GroqSTTService", 'base_url="{base}/openai/v1"'),
    _pipecat("elevenlabs", "ElevenLabsSTTService", 'base_url="{base}"'),
    _pipecat("deepgram", "DeepgramTTSService", 'base_url="{ws}"'),
    _pipecat("deepgram", "DeepgramFluxTTSService", 'url="{ws}/v2/speak"'),
    _pipecat("cartesia", "CartesiaTTSService", 'url="{ws}/tts/websocket"'),
    _pipecat("elevenlabs", "ElevenLabsTTSService", 'url="{ws}"'),
    _pipecat("deepgram", "DeepgramHttpTTSService", 'base_url="{base}"'),
    _pipecat("cartesia", "CartesiaHttpTTSService", 'base_url="{base}"'),
    _pipecat("elevenlabs", "ElevenLabsHttpTTSService", 'base_url="{base}"'),
    _pipecat("openai", "OpenAITTSService", _V1, OPENAI),
    ClientLine("Pipecat GroqTTSService", "groq", "GROQ_BASE_URL={base}", GROQ),
    _pipecat("piper", "PiperHttpTTSService", 'base_url="{base}/synthesize"'),
)
ALL = (*SDKS, *LIVEKIT, *PIPECAT)


def lines_for(
    providers: Iterable[str], address: str, project: str | None, *, without: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield client and line of these providers, in the table's order; ``without`` are variables that are set."""
    wanted, reached = frozenset(providers), frozenset(without)
    for line in ALL:
        if line.provider in wanted and line.variable not in reached:
            yield line.client, line.pasted(address, project)
