//! The timeline beside the tree.

use omnitrace_store::row::Micros;
use omnitrace_store::tree::Node;

/// Maps moments of a run to columns.
pub(super) struct Scale {
    from: Micros,
    to: Micros,
    columns: usize,
}

impl Scale {
    /// From the run's start to its end, or as far as its parts reach where that is not known.
    pub(super) fn new(root: &Node, columns: usize) -> Self {
        let whole = root
            .extent
            .filter(|(from, to)| root.started_at.is_some() && from < to);
        let parts = || root.walk().filter_map(|node| node.extent);
        let (from, to) = whole.unwrap_or_else(|| {
            let from = parts().map(|(from, _)| from).min().unwrap_or_default();
            (from, parts().map(|(_, to)| to).max().unwrap_or(from))
        });
        let columns = if from < to { columns } else { 0 };
        Self { from, to, columns }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// `╌` while a node waited for its start, `━` while it was at work, `◆` for a moment.
    pub(super) fn bar(&self, node: &Node) -> String {
        let (false, Some((from, to))) = (self.is_empty(), node.extent) else {
            return String::new();
        };
        let began = node
            .waiting_ms
            .map_or(from, |ms| from.saturating_add(ms.saturating_mul(1000)));
        let last = self.columns - 1;
        let (start, work) = (self.column(from).min(last), self.column(began).min(last));
        let end = self.column(to).max(work + 1);
        let mark = if from == to { "◆" } else { "━" };
        let unbegun = node.waiting_ms.is_none()
            && node.children.is_empty()
            && node.status == omnitrace_store::row::Status::Scheduled;
        let mark = if unbegun { "╌" } else { mark };
        " ".repeat(start) + &"╌".repeat(work - start) + &mark.repeat(end - work)
    }

    /// Clocks of workers differ: what lies outside of the run is drawn at its edge.
    fn column(&self, at: Micros) -> usize {
        let span = i128::from(self.to) - i128::from(self.from);
        let into = i128::from(at.clamp(self.from, self.to)) - i128::from(self.from);
        // Not larger than `columns`, by the clamp.
        usize::try_from(into * self.columns as i128 / span).unwrap_or(self.columns)
    }
}
