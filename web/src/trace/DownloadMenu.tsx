import type { Trace } from "../api/client";
import { Menu } from "../components/Menu";
import { download, fileName } from "../components/files";
import { rowsAsCsv, rowsAsJson } from "./fns/table";
import type { Row } from "./fns/rows";

/** The rows as they are shown as files. */
export function DownloadMenu({ trace, rows }: { trace: Trace; rows: Row[] }) {
  const { execution_id: id } = trace;
  return (
    <Menu title="Download">
      <button onClick={() => download(fileName(id, "view.json"), rowsAsJson(trace, rows), "application/json")}>
        These rows as JSON
      </button>
      <button onClick={() => download(fileName(id, "view.csv"), rowsAsCsv(rows), "text/csv")}>These rows as CSV</button>
    </Menu>
  );
}
