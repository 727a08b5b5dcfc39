// Made by `cargo xtask web` from the server's OpenAPI document: do not edit.

export interface paths {
    "/aggregates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Add up the hourly aggregates: counts, latencies, tokens and cost of runs or steps, also of those whose rows are
         *     gone.
         */
        get: operations["get_aggregates"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List runs, newest first.
         * @description For a text, patterns with `*`, durations and cost a request looks at the newest 100,000 runs that the other
         *     parameters leave. Where there are more, `looked_until` says how far back it looked, and `next_cursor` looks
         *     further. Runs whose workflow id or run id begins with the text are found at once, however old, and may come
         *     once more where they belong.
         */
        get: operations["list_executions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions/{execution_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the rows of a run in the order in which it took them. */
        get: operations["list_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions/{execution_id}/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Take a run away as a file: all its rows. */
        get: operations["export_execution"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions/{execution_id}/trace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show a run as a tree of steps, attempts and what happened inside them.
         * @description An answer holds at most 10,000 nodes; `more_children` of a node says how many are left out, and
         *     `event_key=` and `after=` ask for them.
         */
        get: operations["get_trace"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions/{execution_id}/trace/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Watch a run: its rows at first, and then each that lands or changes.
         * @description Events are `rows`, `end` when the run is closed and quiet, and `cut` with a reason. Each `rows` has an
         *     id; with it as `Last-Event-ID` the stream goes on where it was, and else begins with everything. A row
         *     takes the place of the one with the same key.
         */
        get: operations["stream_trace"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/executions/compare": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Compare two runs, their steps aligned by key.
         * @description Steps whose key only one run has, as of signals and child workflows, are aligned by kind and name.
         */
        get: operations["compare_executions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say that the server lives. */
        get: operations["healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say what the caller may see. */
        get: operations["get_me"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tell how the server is, as Prometheus reads it. */
        get: operations["get_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say whether requests can be answered: the database must answer. */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Count runs by type and hour: how they ended, how long they took, what they used. */
        get: operations["get_stats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Something that was made and can be looked at. */
        Artifact: {
            name: string;
            url: string;
        };
        /** @description How many took at most so long. */
        Bucket: {
            /** Format: int64 */
            count: number;
            /** Format: int64 */
            le_ms: number;
        };
        /** @description A span that the run is part of. */
        CallerSpan: {
            /** Format: int64 */
            duration_ms: number;
            error: boolean;
            name: string;
            service?: string | null;
            span_id: string;
            started_at: string;
        };
        /** @description Something that is configured; the server is ready without its trace backend. */
        Check: {
            /** @description Where it is, or why it does not work and what to do; to others than administrators it is not told. */
            detail?: string | null;
            name: string;
            ok: boolean;
        };
        /** @description A step of either run, or of both. */
        ComparedStep: {
            a?: null | components["schemas"]["Side"];
            b?: null | components["schemas"]["Side"];
            /** @description `missing`, `status`, `error_type`, `attempts`, `tokens`, `cost_usd`, `duration_ms`. */
            differs: string[];
            /** @description Of `a`, else of `b`. */
            event_key: string;
            kind: string;
            name: string;
        };
        /** @description Two runs, their steps aligned by key. */
        Comparison: {
            a: components["schemas"]["Execution"];
            b: components["schemas"]["Execution"];
            /** @description How many differ in anything. */
            differing: number;
            /** @description Those that differ in more than their duration first; else in the order of the runs. */
            steps: components["schemas"]["ComparedStep"][];
        };
        /** @description How many runs have which status, whatever page is shown. */
        Counts: {
            by_status: {
                [key: string]: number;
            };
            /** @description Only so many of the newest were counted, and there are as many. */
            more: boolean;
        };
        /** @description A row as it is stored. */
        Event: {
            /**
             * Format: int32
             * @description 0 for a step, 1 and more for its attempts.
             */
            attempt: number;
            category?: string | null;
            /** Format: double */
            cost_usd?: number | null;
            /** @description Redacted. */
            data?: unknown;
            ended_at?: string | null;
            error?: null | components["schemas"]["Failure"];
            event_key: string;
            /** Format: int64 */
            input_tokens?: number | null;
            kind: string;
            /** Format: int64 */
            latency_ms?: number | null;
            model?: string | null;
            name: string;
            /** Format: int64 */
            output_tokens?: number | null;
            parent_key?: string | null;
            /** @description Proposed by a worker, not yet accepted by the server. */
            provisional: boolean;
            /** @description UTC, to the microsecond. */
            scheduled_at?: string | null;
            span_id: string;
            started_at?: string | null;
            status: components["schemas"]["Status"];
            /** @description Encoded as in the key. */
            step: string;
        };
        /** @description Page of rows, in the order in which the run took them. */
        Events: {
            events: components["schemas"]["Event"][];
            execution_id: string;
            namespace: string;
            /** @description What `cursor=` takes to get the next page; null on the last one. */
            next_cursor?: string | null;
            run_id: string;
        };
        /** @description A run in a list. */
        Execution: {
            /** Format: double */
            cost_usd: number;
            /** Format: int32 */
            dropped_events: number;
            /** Format: int64 */
            duration_ms?: number | null;
            ended_at?: string | null;
            error?: null | components["schemas"]["Failure"];
            /** Format: int32 */
            event_count: number;
            execution_id: string;
            incomplete: boolean;
            namespace: string;
            run_id: string;
            /** @description UTC, to the microsecond. */
            started_at?: string | null;
            status: components["schemas"]["Status"];
            task_queue: string;
            /** @description Hashed. */
            tenant?: string | null;
            token_usage: components["schemas"]["TokenUsage"];
            trace_id: string;
            /** @description `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`. */
            trigger: string;
            workflow_type: string;
        };
        /** @description Page of runs, newest first. */
        Executions: {
            counts?: null | components["schemas"]["Counts"];
            executions: components["schemas"]["Execution"][];
            /** @description What was looked for in each run was looked for in those that started after this; null if in all. */
            looked_until?: string | null;
            /** @description What `cursor=` takes to get the next page; null on the last one. */
            next_cursor?: string | null;
        };
        /** @description A run and all its rows. */
        Export: {
            events: components["schemas"]["Event"][];
            /** @description Redacted arguments. */
            input?: unknown;
            /** @description Redacted result. */
            output?: unknown;
            run: components["schemas"]["Execution"];
        };
        /** @description Why something failed. */
        Failure: {
            /** @description What to do about it. */
            hint?: string | null;
            /** @description Scrubbed of secrets. */
            message?: string | null;
            type?: string | null;
        };
        Health: {
            /** @description Always `ok`: a server that is not well does not answer. */
            status: string;
            version: string;
        };
        /** @description Another run. */
        Link: {
            ended_at?: string | null;
            execution_id: string;
            namespace: string;
            run_id: string;
            started_at?: string | null;
            status: components["schemas"]["Status"];
            workflow_type: string;
        };
        Links: {
            children: components["schemas"]["Link"][];
            /** @description Run that went on from this one. */
            next_run?: string | null;
            parent?: null | components["schemas"]["ParentLink"];
            /** @description Run that this one went on from: by continue-as-new, retry or cron. */
            previous_run?: string | null;
        };
        /** @description What the caller may see. */
        Me: {
            /** @description Whether `include=` may be asked for. */
            content: boolean;
            /** @description Whom the token is for; null where none was shown. */
            name?: string | null;
            /** @description Null is every one. */
            namespaces?: string[] | null;
            rights: string[];
            /** @description Hashed; null is every one. */
            tenants?: string[] | null;
        };
        ParentLink: {
            execution_id: string;
            namespace: string;
            run_id: string;
        };
        /** @description The body of a problem. */
        Problem: {
            /** @description What happened, and what to do. */
            detail: string;
            /** Format: int32 */
            status: number;
            title: string;
            /** @description Always `about:blank`: the status says what kind of problem it is. */
            type: string;
        };
        Readiness: {
            checks: components["schemas"]["Check"][];
            ready: boolean;
        };
        /** @description What redaction did. */
        Redaction: {
            /** Format: int64 */
            dropped: number;
            /** Format: int64 */
            hashed: number;
            /** Format: int64 */
            truncated: number;
        };
        /** @description What the latest replay of the run against a worker's code found. */
        Replay: {
            /** @description Of the code that the run was replayed against. */
            build_id: string;
            /** @description UTC, to the microsecond. */
            checked_at: string;
            /** @description Key of the step at which the code parts from the run, or first changes; empty for the run's end. */
            event_key?: string | null;
            /** @description What the run did there. */
            expected?: string | null;
            /** @description What the code does there. */
            found?: string | null;
            /** @description What else is to be said. */
            message?: string | null;
            /**
             * Format: int32
             * @description Its position among the steps of the run, from 1.
             */
            position?: number | null;
            verdict: components["schemas"]["VerdictName"];
        };
        /**
         * @description The schema of a node's role.
         * @enum {string}
         */
        RoleName: "run" | "step" | "attempt" | "inner" | "span";
        /** @description A step in one run. */
        Side: {
            attempts: number;
            /** Format: double */
            cost_usd?: number | null;
            /** Format: int64 */
            duration_ms?: number | null;
            error_type?: string | null;
            /**
             * Format: int64
             * @description After the run began.
             */
            started_offset_ms?: number | null;
            status: components["schemas"]["Status"];
            /**
             * Format: int64
             * @description Of prompts and answers.
             */
            tokens?: number | null;
        };
        /** @description Runs by type, in each hour and in the whole time. */
        Stats: {
            /** @description Hours without runs are left out. */
            hours: components["schemas"]["TypeStats"][];
            /** @description There are more hours: ask for a shorter time or one type. */
            more: boolean;
            /** @description The whole time. */
            types: components["schemas"]["TypeStats"][];
        };
        /**
         * @description Status in Temporal's words; `lost`: its worker went away.
         * @enum {string}
         */
        Status: "scheduled" | "running" | "completed" | "failed" | "canceled" | "terminated" | "timed_out" | "continued_as_new" | "lost";
        /** @description What an event `rows` holds. It is written piece by piece; this is its place in the document. */
        StreamRows: {
            /** @description Keys of rows that are shown no longer. */
            gone: string[];
            rows: components["schemas"]["Event"][];
            run: components["schemas"]["Execution"];
        };
        /** @description A sum, with what it is told by. */
        Sum: {
            /** @description The day in which runs closed, or the hour, by its begin, UTC. */
            begin?: string | null;
            /** @description How many took at most so many milliseconds. */
            buckets: components["schemas"]["Bucket"][];
            /** @description `model`, `tool`, …, else the kind of the steps. */
            category?: string | null;
            /** Format: double */
            cost_usd: number;
            /**
             * Format: int64
             * @description Runs that closed; by category or model: steps that ended.
             */
            count: number;
            /**
             * Format: int64
             * @description Of them those that failed, timed out, were terminated or lost.
             */
            failed: number;
            /** Format: int64 */
            input_tokens: number;
            /**
             * Format: int64
             * @description Sum of the latencies that are known.
             */
            latency_ms: number;
            /** @description Empty for steps that called none. */
            model?: string | null;
            namespace?: string | null;
            /** Format: int64 */
            output_tokens: number;
            /** @description Hashed; empty if unknown. */
            tenant_id?: string | null;
            workflow_type?: string | null;
        };
        /** @description Sums of hours that are aggregated. */
        Sums: {
            /** @description There are more: ask for a shorter time, or by less. */
            more: boolean;
            sums: components["schemas"]["Sum"][];
            /** @description Runs that closed before are aggregated, UTC: what closed later is in `/stats` alone; null if nothing is. */
            through?: string | null;
        };
        /** @description Tokens of a language model. */
        TokenUsage: {
            /** Format: int64 */
            completion: number;
            /** Format: int64 */
            prompt: number;
        };
        /** @description A run as a tree of what happened in it. */
        Trace: {
            build_id?: string | null;
            /** @description Pages of other programs about this run, by their name. */
            dashboards: {
                [key: string]: string;
            };
            /**
             * Format: int32
             * @description Rows that were cut by limits, and are not in the tree.
             */
            dropped_events: number;
            /** Format: int64 */
            duration_ms?: number | null;
            ended_at?: string | null;
            /** Format: int32 */
            event_count: number;
            /** @description Workflow id. */
            execution_id: string;
            /** @description The recorder lost something of this run. */
            incomplete: boolean;
            links: components["schemas"]["Links"];
            namespace: string;
            replay?: null | components["schemas"]["Replay"];
            root: components["schemas"]["TraceNode"];
            run_id: string;
            /** @description UTC, to the microsecond. */
            started_at?: string | null;
            status: components["schemas"]["Status"];
            task_queue: string;
            trace_backend?: null | components["schemas"]["TraceBackend"];
            trace_id: string;
            /** @description `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`. */
            trigger: string;
            workflow_type: string;
        };
        /** @description What a trace backend added to a trace. */
        TraceBackend: {
            /** @description Whether it was asked and answered; if not, what is stored is all that is shown. */
            available: boolean;
            /** @description What the run is part of, the outermost first. */
            callers: components["schemas"]["CallerSpan"][];
            /** @description Why not, and what to do. */
            detail?: string | null;
            /** @description Spans of the trace that are not part of this run. */
            elsewhere: number;
            /** @description `jaeger` or `tempo`. */
            name: string;
            /** @description Spans of other programs that are in the tree. */
            spans: number;
        };
        /** @description A node: the run, a step, an attempt, or something inside. */
        TraceNode: {
            /** @description Of it and everything below; with `include=artifacts`. */
            artifacts: components["schemas"]["Artifact"][];
            /**
             * Format: int32
             * @description 0 for a step, 1 and more for its attempts.
             */
            attempt: number;
            /** @description `tool`, `model`, `policy`, `cache`, `approval`, `publish`, … */
            category?: string | null;
            child_run?: null | components["schemas"]["Link"];
            children: components["schemas"]["TraceNode"][];
            /**
             * Format: double
             * @description Of it and everything below, US dollars.
             */
            cost_usd?: number | null;
            /** @description Redacted input, output and attributes; with `include=attributes`. */
            data?: unknown;
            /** Format: int64 */
            duration_ms?: number | null;
            ended_at?: string | null;
            error?: null | components["schemas"]["Failure"];
            /** @description Unique in the run; empty for the run itself. */
            event_key: string;
            /** @description What to do about its state. */
            hint?: string | null;
            kind: string;
            /** @description Still open, though what it is part of has ended. */
            left_open: boolean;
            model?: string | null;
            /**
             * @description Children that are not here: beyond `depth=` or the limit of nodes. Ask for this node with
             *     `event_key=`, or for the rest of its children with `after=` too.
             */
            more_children?: number;
            name: string;
            /** @description What a language model was asked; with `include=prompts`. */
            prompts: unknown[];
            /** @description Proposed by a worker, not yet accepted by the server. */
            provisional: boolean;
            redaction?: null | components["schemas"]["Redaction"];
            reported_status?: null | components["schemas"]["Status"];
            /** @description What it answered; with `include=responses`. */
            responses: unknown[];
            role: components["schemas"]["RoleName"];
            scheduled_at?: string | null;
            /** @description Of a span of another program: which service made it. */
            service?: string | null;
            started_at?: string | null;
            status: components["schemas"]["Status"];
            token_usage?: null | components["schemas"]["TokenUsage"];
            /**
             * Format: int64
             * @description From scheduling to the first start.
             */
            waiting_ms?: number | null;
        };
        /** @description Runs of one type that started in a time. */
        TypeStats: {
            /** Format: int64 */
            completed: number;
            /** Format: double */
            cost_usd: number;
            /**
             * Format: double
             * @description Failed ones among those that ended, from 0 to 1; null if none did.
             */
            error_rate?: number | null;
            /**
             * Format: int64
             * @description Failed, timed out, terminated or lost.
             */
            failed: number;
            /** @description Its begin, UTC. */
            hour?: string | null;
            /** Format: int64 */
            input_tokens: number;
            /** Format: int64 */
            open: number;
            /**
             * Format: int64
             * @description Canceled, or continued as a new run.
             */
            other: number;
            /** Format: int64 */
            output_tokens: number;
            /**
             * Format: int64
             * @description How long half of those that ended took at most.
             */
            p50_ms?: number | null;
            /** Format: int64 */
            p95_ms?: number | null;
            /** Format: int64 */
            p99_ms?: number | null;
            /** Format: int64 */
            started: number;
            workflow_type: string;
        };
        /**
         * @description What a replay came to.
         * @enum {string}
         */
        VerdictName: "passed" | "changed" | "parted" | "failed" | "gone";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    get_aggregates: {
        parameters: {
            query?: {
                /**
                 * @description day, hour, namespace, type, category, tenant, model, several by commas; by category or model it is of steps,
                 *     else of runs; type without it.
                 */
                by?: string;
                /** @description Closed in an hour that begins at or after: 90d (ago), 2026-01-01; 104 days before `to` without it. */
                from?: string;
                /** @description Temporal namespace. */
                namespace?: string;
                /** @description Closed in an hour that begins before, written like `from`; now without it. */
                to?: string;
                /** @description Workflow type, exact. */
                workflow_type?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Aggregates, added up */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sums"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_executions: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description Type of the failure; `*` stands for any text. */
                error_type?: string;
                /** @description `counts`: how many runs have which status. */
                include?: string;
                /** @description At most so many, 1 to 500; 50 without it. */
                limit?: number;
                /** @description US dollars. */
                max_cost_usd?: number;
                /** @description Closed, and lasted at most so long. */
                max_duration_ms?: number;
                /** @description US dollars. */
                min_cost_usd?: number;
                /** @description Closed, and lasted at least so long. */
                min_duration_ms?: number;
                /** @description Temporal namespace. */
                namespace?: string;
                /** @description The same as `text`. */
                q?: string;
                /** @description Started at or after: 2h, 3d (ago), 2026-01-01, 2026-01-01T10:00:00Z. */
                since?: string;
                /** @description The same as `since`. */
                started_after?: string;
                /** @description The same as `until`. */
                started_before?: string;
                /** @description Any of these; several by commas, or each by itself. */
                status?: components["schemas"]["Status"][];
                /** @description Hashed tenant, as a run tells it. */
                tenant?: string;
                /** @description Text in workflow id, run id, type or error, whatever its case; or a whole trace id. */
                text?: string;
                /** @description Workflow type; `*` stands for any text. */
                type?: string;
                /** @description Started before, written like `since`. */
                until?: string;
                /** @description Workflow id, exact. */
                workflow_id?: string;
                /** @description The same as `type`. */
                workflow_type?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of runs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Executions"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_events: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description At most so many, 1 to 5000; 500 without it. */
                limit?: number;
                /** @description Only look in this Temporal namespace. */
                namespace?: string;
                /** @description This run of the workflow id instead of its newest. */
                run_id?: string;
            };
            header?: never;
            path: {
                /** @description Workflow id, percent-encoded */
                execution_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of rows */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Events"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    export_execution: {
        parameters: {
            query?: {
                /**
                 * @description `json`, `csv` (one row per line) or `otlp` (spans, as OpenTelemetry's collector takes them); `json`
                 *     without it.
                 */
                format?: string;
                /** @description Only look in this Temporal namespace. */
                namespace?: string;
                /** @description This run of the workflow id instead of its newest. */
                run_id?: string;
            };
            header?: never;
            path: {
                /** @description Workflow id, percent-encoded */
                execution_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Export"];
                    "text/csv": string;
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_trace: {
        parameters: {
            query?: {
                /** @description Only children of the root after the one with this key. */
                after?: string;
                /** @description Levels below the root; all without it. */
                depth?: number;
                /** @description The root is the node with this key instead of the run. */
                event_key?: string;
                /** @description Any of `prompts`, `responses`, `artifacts`, `attributes`, separated by commas. */
                include?: string;
                /** @description Only look in this Temporal namespace. */
                namespace?: string;
                /** @description This run of the workflow id instead of its newest. */
                run_id?: string;
                /** @description `false` leaves the spans of the trace backend out. */
                spans?: boolean;
            };
            header?: never;
            path: {
                /** @description Workflow id, percent-encoded */
                execution_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The trace */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Trace"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    stream_trace: {
        parameters: {
            query?: {
                /** @description `false` leaves the rows that are there out: the first event has none. */
                all?: boolean;
                /** @description `false` leaves the data of rows out. */
                data?: boolean;
                /** @description Only look in this Temporal namespace. */
                namespace?: string;
                /** @description This run of the workflow id instead of its newest. */
                run_id?: string;
            };
            header?: {
                /** @description Id of the last event that was got */
                "Last-Event-ID"?: string | null;
            };
            path: {
                /** @description Workflow id, percent-encoded */
                execution_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Server-sent events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["StreamRows"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer, or too many streams are open */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    compare_executions: {
        parameters: {
            query: {
                /** @description Workflow id of the first run. */
                a: string;
                /** @description Run of the first workflow id instead of its newest. */
                a_run_id?: string;
                /** @description Workflow id of the second; may be the same. */
                b: string;
                /** @description Run of the second. */
                b_run_id?: string;
                /** @description Only look in this Temporal namespace. */
                namespace?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Both runs and their steps */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Comparison"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It lives */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    get_me: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Rights, tenants and namespaces */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Me"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Metrics of this server */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description It needs a token with the right `admin` */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The database answers */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description It does not, and why */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
    get_stats: {
        parameters: {
            query?: {
                /** @description Started at or after: 2h, 3d (ago), 2026-01-01, 2026-01-01T10:00:00Z; a day before `to` without it. */
                from?: string;
                /** @description Temporal namespace. */
                namespace?: string;
                /** @description Started before, written like `from`; now without it. At most 31 days after `from`. */
                to?: string;
                /** @description Workflow type, exact. */
                workflow_type?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Runs in numbers */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Stats"];
                };
            };
            /** @description A parameter is wrong */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A token is needed */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The token lacks a right */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The database does not answer */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
