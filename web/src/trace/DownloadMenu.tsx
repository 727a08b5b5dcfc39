import { useState } from "react";
import type { Trace } from "../api/client";
import { useClient } from "../api/context";
import { Menu } from "../components/Menu";
import { download, fileName } from "../components/files";
import { rowsAsCsv, rowsAsJson } from "./fns/table";
import type { Row } from "./fns/rows";

/** The rows as they are shown, or all that is recorded of the run, as files. */
export function DownloadMenu({ trace, rows }: { trace: Trace; rows: Row[] }) {
  const client = useClient();
  const [said, setSaid] = useState("");
  const { execution_id: id, run_id, namespace } = trace;
  const whole = (format: string, extension: string) =>
    client.file(id, { format, run_id, namespace }).then(
      (blob) => download(fileName(id, extension), blob, ""),
      (error: Error) => setSaid(error.message),
    );
  return (
    <Menu title="Download">
      <button onClick={() => download(fileName(id, "view.json"), rowsAsJson(trace, rows), "application/json")}>
        These rows as JSON
      </button>
      <button onClick={() => download(fileName(id, "view.csv"), rowsAsCsv(rows), "text/csv")}>These rows as CSV</button>
      <button onClick={() => void whole("json", "json")}>The run as JSON</button>
      <button onClick={() => void whole("csv", "csv")}>The run as CSV</button>
      <button onClick={() => void whole("otlp", "otlp.json")}>The run as OTLP</button>
      <span role="status" className="tone-bad">
        {said}
      </span>
    </Menu>
  );
}
