// Made by `cargo xtask web` from the server's OpenAPI document: do not edit.

export interface paths {
    "/executions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List runs, newest first. */
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
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say whether requests can be answered: what is configured must work. */
        get: operations["readyz"];
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
        /** @description Something that is configured, and must work. */
        Check: {
            /** @description Where it is, or why it does not work and what to do. */
            detail: string;
            name: string;
            ok: boolean;
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
            /** @description What `cursor=` takes to get the next page; null on the last one. */
            next_cursor?: string | null;
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
        /**
         * @description The schema of a node's role.
         * @enum {string}
         */
        RoleName: "run" | "step" | "attempt" | "inner";
        /**
         * @description Status in Temporal's words; `lost`: its worker went away.
         * @enum {string}
         */
        Status: "scheduled" | "running" | "completed" | "failed" | "canceled" | "terminated" | "timed_out" | "continued_as_new" | "lost";
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
            root: components["schemas"]["TraceNode"];
            run_id: string;
            /** @description UTC, to the microsecond. */
            started_at?: string | null;
            status: components["schemas"]["Status"];
            task_queue: string;
            trace_id: string;
            /** @description `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`. */
            trigger: string;
            workflow_type: string;
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
            started_at?: string | null;
            status: components["schemas"]["Status"];
            token_usage?: null | components["schemas"]["TokenUsage"];
            /**
             * Format: int64
             * @description From scheduling to the first start.
             */
            waiting_ms?: number | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
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
                /** @description Started at or after: 2h, 3d (ago), 2026-01-01, 2026-01-01T10:00:00Z. */
                since?: string;
                /** @description Any of these, separated by commas. */
                status?: components["schemas"]["Status"][];
                /** @description Hashed tenant, as a run tells it. */
                tenant?: string;
                /** @description Text in workflow id, run id, type or error, whatever its case. */
                text?: string;
                /** @description Workflow type; `*` stands for any text. */
                type?: string;
                /** @description Started before, written like `since`. */
                until?: string;
                /** @description Workflow id, exact. */
                workflow_id?: string;
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
            /** @description There is no such run */
            404: {
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
            /** @description There is no such run */
            404: {
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
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All that is configured works */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description Something does not, and why */
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
}
