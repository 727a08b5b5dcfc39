/** Pages of other programs about the run. */
export function Dashboards({ pages }: { pages: Record<string, string> }) {
  return Object.entries(pages)
    .filter(([, url]) => isPage(url))
    .map(([name, url]) => (
      <span key={name}>
        {" "}
        <a href={url} target="_blank" rel="noreferrer">
          {name} ↗
        </a>
      </span>
    ));
}

/** What a browser may open: an address with a script in it is none. */
export const isPage = (url: string) => /^https?:\/\//i.test(url);
