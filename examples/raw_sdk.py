"""Vendors' SDKs on the sidecar, without any framework: one question to Claude, to a local model if need be.

voicegw-sidecar serve --config examples/voicegw.yaml
python examples/raw_sdk.py "Where is my order?"
"""

import asyncio
import os
import sys

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from voicegw_sidecar import inference

KEY = os.environ.get("ANTHROPIC_API_KEY", "the sidecar has it")


async def ask_claude(question: str) -> str:
    """Ask by Anthropic's own protocol; the address says for which project and conversation."""
    async with AsyncAnthropic(api_key=KEY, base_url=inference.base_url("anthropic")) as client:
        asked = client.messages.stream(
            model="claude-haiku-4-5", max_tokens=300, messages=[{"role": "user", "content": question}]
        )
        async with asked as answer:
            return "".join([words async for words in answer.text_stream])


async def ask_locally(question: str, provider: str, model: str) -> str:
    """Ask a local server, which speaks OpenAI's protocol."""
    async with AsyncOpenAI(api_key="none", base_url=f"{inference.base_url(provider)}/v1") as client:
        answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])
        return str(answer.choices[0].message.content)


async def main(question: str) -> None:
    """Go on with the project's local model once its budget is spent, and stop where it has none."""
    inference.set_project("prod")
    inference.set_session("example-1")
    try:
        with inference.budget_errors():
            print(await ask_claude(question))
    except inference.BudgetThrottleSignal as signal:
        provider, _, model = (signal.stand_in or "").partition("/")
        if not model:
            sys.exit(f"no answer: {signal}")
        print(await ask_locally(question, provider, model))
    except inference.BudgetExceededError as error:
        sys.exit(f"no answer: {error}")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Where is my order?"))
