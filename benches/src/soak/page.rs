//! The report: one page with the limits and a plot of each thing over time, and the samples beside it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use plotters::prelude::*;

use super::Slice;
use super::verdict::Verdict;

const SIZE: (u32, u32) = (900, 260);
const PLAIN: RGBColor = RGBColor(120, 120, 120);
const RECORDING: RGBColor = RGBColor(0, 90, 200);

/// What is drawn of each slice.
type Of = fn(&Slice) -> f64;

const PLOTS: [(&str, Of); 8] = [
    ("Heap and stacks, MB", |s| s.private_bytes as f64 / 1e6),
    ("Resident memory, MB", |s| s.resident_bytes as f64 / 1e6),
    ("CPU for a run, ms", |s| {
        s.cpu_s * 1e3 / f64::from(s.short.max(1))
    }),
    ("Short runs a second", |s| f64::from(s.short) / s.seconds),
    ("p50 of a short run, ms", |s| s.p50_s * 1e3),
    ("p99 of a short run, ms", |s| s.p99_s * 1e3),
    ("Most bytes in the queue", |s| s.queue_bytes as f64),
    ("Dropped so far", |s| s.dropped as f64),
];

/// Writes `soak.html` and `soak.json` into a folder; gives the page.
pub(super) fn write(folder: &Path, slices: &[Slice], verdict: &Verdict) -> anyhow::Result<PathBuf> {
    let page = folder.join("soak.html");
    let samples = serde_json::json!({ "limits": verdict.lines, "slices": slices });
    let write = || {
        std::fs::create_dir_all(folder)?;
        std::fs::write(
            folder.join("soak.json"),
            serde_json::to_vec_pretty(&samples)?,
        )?;
        anyhow::Ok(std::fs::write(&page, html(slices, verdict)?)?)
    };
    write().with_context(|| format!("cannot write {}", page.display()))?;
    Ok(page)
}

fn html(slices: &[Slice], verdict: &Verdict) -> anyhow::Result<String> {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Endurance</title>\
         <style>body{font:15px system-ui;margin:2rem auto;max-width:60rem}\
         td,th{text-align:left;padding:.2rem 1rem .2rem 0}</style><h1>Endurance</h1>\
         <p>Gray: the worker without the plugin. Blue: the worker that records.</p>\
         <table><tr><th>What<th>Limit<th>Measured<th></tr>",
    );
    for line in &verdict.lines {
        write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}",
            line.what,
            line.limit,
            line.measured,
            line.said()
        )?;
    }
    page.push_str("</table>");
    for (title, of) in PLOTS {
        write!(page, "<h2>{title}</h2>{}", plot(title, slices, of)?)?;
    }
    Ok(page)
}

/// Over seconds since the beginning.
fn plot(title: &str, slices: &[Slice], of: Of) -> anyhow::Result<String> {
    let mut svg = String::new();
    let end = slices.iter().map(|s| s.at_s).fold(1.0, f64::max);
    let most = slices.iter().map(of).fold(1.0, f64::max) * 1.1;
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("seconds")
            .y_desc(title)
            .draw()?;
        for (recording, color) in [(false, PLAIN), (true, RECORDING)] {
            let slices = slices.iter().filter(|s| s.recording == recording);
            let points = slices.map(|s| (s.at_s, of(s)));
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        }
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plot_is_a_picture_with_two_lines() {
        let slice = |recording, at_s| Slice {
            recording,
            at_s,
            short: 10,
            long: 0,
            seconds: 1.0,
            p50_s: 0.1,
            p99_s: 0.2,
            cpu_s: 0.5,
            resident_bytes: 40_000_000,
            private_bytes: 20_000_000,
            queue_bytes: 0,
            live: 0,
            stored: 0,
            dropped: 0,
        };
        let slices: Vec<_> = (1..5).map(|n| slice(n % 2 == 0, f64::from(n))).collect();
        for (title, of) in PLOTS {
            let svg = plot(title, &slices, of).unwrap();
            assert!(svg.matches("<polyline").count() >= 2, "{title}: {svg}");
        }
    }
}
