// Histories as a Temporal server would have written them, made up.

type Event = Record<string, unknown>;

const payloads = (value: unknown) => ({
  payloads: [
    {
      metadata: { encoding: Buffer.from("json/plain").toString("base64") },
      data: Buffer.from(JSON.stringify(value)).toString("base64"),
    },
  ],
});

export interface Run {
  workflowId: string;
  runId: string;
  type?: string;
  /** Milliseconds since 1970. */
  begin?: number;
  /** The run before, which went on in this one. */
  continuedFrom?: string;
  /** The workflow that started this one. */
  parent?: { workflowId: string; runId: string };
  input?: unknown;
}

/** Writes a history event by event, a millisecond apart. */
export class History {
  readonly events: Event[] = [];
  private task = 0;
  private now: number;

  constructor(run: Run) {
    this.now = run.begin ?? Date.UTC(2026, 0, 1, 10);
    this.push("WorkflowExecutionStarted", {
      workflowId: run.workflowId,
      originalExecutionRunId: run.runId,
      firstExecutionRunId: run.continuedFrom ?? run.runId,
      workflowType: { name: run.type ?? "Order" },
      taskQueue: { name: "orders" },
      input: payloads(run.input ?? 1),
      attempt: 1,
      ...(run.continuedFrom && {
        continuedExecutionRunId: run.continuedFrom,
        initiator: "CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
      }),
      ...(run.parent && {
        parentWorkflowNamespace: "default",
        parentWorkflowExecution: run.parent,
      }),
    });
    this.workflowTask();
  }

  /** Time passes. */
  wait(ms: number): this {
    this.now += ms;
    return this;
  }

  workflowTask(): this {
    const scheduled = this.push("WorkflowTaskScheduled", {});
    const started = this.push("WorkflowTaskStarted", { scheduledEventId: scheduled });
    this.task = this.push("WorkflowTaskCompleted", { scheduledEventId: scheduled, startedEventId: started });
    return this;
  }

  /** An activity of `ms` milliseconds; ends the task that follows, so activities are one after the other. */
  activity(name: string, { ms = 5, input = {} as unknown, output = {} as unknown, error = undefined as string | undefined, attempt = 1 } = {}): this {
    const scheduled = this.schedule(name, input);
    return this.finish(scheduled, { ms, output, error, attempt }).workflowTask();
  }

  schedule(name: string, input: unknown = {}): number {
    return this.push("ActivityTaskScheduled", {
      activityId: `${this.events.length + 1}`,
      activityType: { name },
      taskQueue: { name: "orders" },
      input: payloads(input),
      workflowTaskCompletedEventId: this.task,
    });
  }

  finish(scheduled: number, { ms = 5, output = {} as unknown, error = undefined as string | undefined, attempt = 1 } = {}): this {
    const last = { message: error ?? "not yet", applicationFailureInfo: { type: error ?? "Busy" } };
    const started = this.push("ActivityTaskStarted", {
      scheduledEventId: scheduled,
      attempt,
      ...(attempt > 1 && { lastFailure: last }),
    });
    this.wait(ms);
    const ended = { scheduledEventId: scheduled, startedEventId: started };
    if (error) this.push("ActivityTaskFailed", { ...ended, failure: last });
    else this.push("ActivityTaskCompleted", { ...ended, result: payloads(output) });
    return this;
  }

  timer(id: string, ms: number): this {
    const started = this.push("TimerStarted", {
      timerId: id,
      startToFireTimeout: `${ms / 1000}s`,
      workflowTaskCompletedEventId: this.task,
    });
    this.wait(ms);
    this.push("TimerFired", { timerId: id, startedEventId: started });
    return this.workflowTask();
  }

  signal(name: string, input: unknown = {}): this {
    this.push("WorkflowExecutionSignaled", { signalName: name, input: payloads(input) });
    return this.workflowTask();
  }

  complete(result: unknown = {}): this {
    this.push("WorkflowExecutionCompleted", { result: payloads(result), workflowTaskCompletedEventId: this.task });
    return this;
  }

  fail(type: string, message: string): this {
    const failure = { message, applicationFailureInfo: { type } };
    this.push("WorkflowExecutionFailed", { failure, workflowTaskCompletedEventId: this.task });
    return this;
  }

  continueAsNew(runId: string): this {
    const next = { newExecutionRunId: runId, workflowType: { name: "Order" }, workflowTaskCompletedEventId: this.task };
    this.push("WorkflowExecutionContinuedAsNew", next);
    return this;
  }

  toJSON() {
    return { events: this.events };
  }

  private push(type: string, attributes: Event): number {
    this.now += 1;
    const id = this.events.length + 1;
    const field = `${type[0]!.toLowerCase()}${type.slice(1)}EventAttributes`;
    this.events.push({ eventId: `${id}`, eventTime: new Date(this.now).toISOString(), eventType: type, [field]: attributes });
    return id;
  }
}

/** A run with so many rows: itself aside, a step and an attempt for each activity. */
export function long(workflowId: string, rows: number): History {
  const history = new History({ workflowId, runId: `${workflowId}-run` });
  for (let n = 0; n < rows / 2; n += 1) history.activity(`Shop::ship${n % 7}`, n % 997 === 5 ? { error: "CardClosed" } : {});
  return history.complete();
}
