"""A worker with Temporal's Python SDK and its OpenTelemetry interceptor, for tests of one trace across
languages.

It serves a workflow and an activity on --queue, and says "ready". Each line of its standard input is a
workflow to run, as JSON; it does so under a span of its own, and prints the trace id and the result. It
ends with its standard input, when all its spans are sent.
"""

import argparse
import asyncio
import json
import sys
from datetime import timedelta

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@activity.defn(name="look")
async def look(place: str) -> str:
    with trace.get_tracer("python").start_as_current_span("inside look"):
        return f"seen {place}"


@workflow.defn(name="Tourist")
class Tourist:
    """Has its work done by another language's worker, in the second attempt."""

    @workflow.run
    async def run(self, queue: str) -> int:
        return await workflow.execute_activity(
            "Acts::flaky",
            2,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
            result_type=int,
        )


async def lines():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(value) -> None:
    print(value if isinstance(value, str) else json.dumps(value), flush=True)


async def main() -> None:
    arguments = argparse.ArgumentParser()
    for name in ("--address", "--queue", "--traces"):
        arguments.add_argument(name, required=True)
    given = arguments.parse_args()
    provider = TracerProvider(resource=Resource.create({"service.name": "python"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=given.traces)))
    trace.set_tracer_provider(provider)
    client = await Client.connect(given.address, interceptors=[TracingInterceptor()])
    worker = Worker(
        client,
        task_queue=given.queue,
        workflows=[Tourist],
        activities=[look],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        say("ready")
        async for asked in lines():
            with trace.get_tracer("python").start_as_current_span("caller") as span:
                result = await client.execute_workflow(
                    asked["workflow"],
                    asked["argument"],
                    id=asked["id"],
                    task_queue=asked["queue"],
                )
            trace_id = format(span.get_span_context().trace_id, "032x")
            say({"trace_id": trace_id, "result": result})
    provider.shutdown()


asyncio.run(main())
