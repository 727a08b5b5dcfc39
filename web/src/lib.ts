// What another application puts into a page of its own, inside a QueryClientProvider.
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/trace.css";
import "./styles/replay.css";
import "./styles/detail.css";

export { Client } from "./api/client";
export { ClientContext } from "./api/context";
export { GoContext } from "./components/go";
export { WorkflowTrace, type WorkflowTraceProps } from "./trace/WorkflowTrace";
export { useWorkflowTrace } from "./trace/hooks/useWorkflowTrace";
