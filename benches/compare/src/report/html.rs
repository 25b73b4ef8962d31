//! `report.html`: one file that needs nothing else, for light and dark and for any width.

use super::data::{CellReport, NO_NUMBER, Report, RowReport, Verdict, bytes, duration, short, verdict};
use super::plot;
use super::terminal::tag;
use crate::plan::Role;

const STYLE: &str = include_str!("style.css");
/// The widths at which each plot is drawn; the style sheet shows one of them.
const WIDE: i32 = 672;
const NARROW: i32 = 340;

pub fn page(report: &Report) -> Result<String, Box<dyn std::error::Error>> {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>latchfree: who wins by how much</title>\n<style>\n{STYLE}</style></head><body>\n"
    );
    html += &head(report);
    html += &wins(report);
    html += &targets(report);
    for group in groups(&report.cells) {
        let first = &group[0];
        let anchor = anchor(first);
        html += &format!(
            "<section><h2 id=\"{anchor}\">{}: {}</h2>\n<p>{}</p>\n<div class=\"cells\">\n",
            first.kind,
            escape(first.workload),
            escape(first.about)
        );
        for cell in group {
            html += &figure(cell)?;
        }
        html += "</div></section>\n";
    }
    Ok(html + "</body></html>\n")
}

/// Neighbouring cells of one workload, over all its types of values.
fn groups(cells: &[CellReport]) -> Vec<Vec<&CellReport>> {
    let mut groups: Vec<Vec<&CellReport>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|g| g[0].kind == cell.kind && g[0].workload == cell.workload) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

fn anchor(cell: &CellReport) -> String {
    format!("{}-{}", cell.kind, cell.workload.replace('+', "-"))
}

fn head(report: &Report) -> String {
    let mut html = "<header><h1>latchfree beside its peers</h1>\n".to_owned();
    html += &format!(
        "<p>All rows of a cell ran on this machine in turns, {} rounds of about {:.0} ms each; numbers are medians over \
         the rounds. A cell is kind/workload/value/threads. Less is better everywhere except in the ratios (×): those are \
         the best peer's number over the row's, so that above 1 is ahead of every peer.</p>\n<dl>",
        report.settings.rounds, report.settings.ms_per_run
    );
    for (name, value) in report.machine.lines() {
        html += &format!("<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    html += "</dl>\n<p class=\"key\">In the plots:<span style=\"background:var(--ours)\"></span>ours\
             <span style=\"background:var(--best)\"></span>best peer\
             <span style=\"background:var(--peer)\"></span>other peers\
             <span style=\"border:1px solid var(--peer)\"></span>limits, which are no contestants. \
             Beside a bar stands the median and, in brackets, the ratio; the thin line runs from the least to the most of any round; \
             » marks a bar cut short.</p>\n<nav>";
    for group in groups(&report.cells) {
        html +=
            &format!("<a href=\"#{}\">{} {}</a>", anchor(group[0]), group[0].kind, escape(group[0].workload));
    }
    html + "</nav></header>\n"
}

/// Colours what the words say already.
fn coloured(speed: f64) -> String {
    let class = match Verdict::of(speed) {
        Verdict::Ahead => "win",
        Verdict::Behind => "loss",
        Verdict::Even => "even",
    };
    format!("<td class=\"{class}\">{}</td>", verdict(speed))
}

/// In how many cells each structure is where.
fn scores(report: &Report) -> String {
    let mut html =
        "<div class=\"scroll\"><table><tr><th>cells of</th><th class=\"n\">ahead of every peer</th>\
                    <th class=\"n\">even</th><th class=\"n\">behind the best</th></tr>\n"
            .to_owned();
    for (name, [ahead, even, behind]) in report.scores() {
        html += &format!(
            "<tr><td>{}</td><td class=\"n win\">▲ {ahead}</td><td class=\"n\">= {even}</td>\
             <td class=\"n loss\">▼ {behind}</td></tr>\n",
            escape(name.trim_start_matches("latchfree::"))
        );
    }
    html + "</table></div>\n"
}

fn wins(report: &Report) -> String {
    // The verdict comes second, so that it is seen on narrow screens without scrolling.
    let mut html = "<section><h2>Who wins by how much</h2>\n".to_owned();
    html += &scores(report);
    html += "<div class=\"scroll\"><table class=\"wins\"><tr><th>cell</th>\
             <th>speed, ours to best peer</th><th>of</th><th class=\"n\">ours</th><th class=\"n\">best peer</th>\
             <th>is</th><th>unit</th></tr>\n";
    for cell in &report.cells {
        let Some(best) = cell.best_peer_row() else { continue };
        for ours in cell.candidates() {
            html += &format!(
                "<tr><td>{}</td>{}<td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&cell.id).replace('/', "/<wbr>"),
                ours.speed.map_or_else(|| format!("<td class=\"loss\">{NO_NUMBER}</td>"), coloured),
                escape(ours.name.trim_start_matches("latchfree::")),
                ours.cost.map_or_else(|| "-".into(), short),
                best.cost.map_or_else(|| "-".into(), short),
                escape(best.name),
                cell.unit,
            );
        }
    }
    html + "</table></div></section>\n"
}

fn targets(report: &Report) -> String {
    if report.targets.is_empty() {
        return String::new();
    }
    let mut html = "<section><h2>Targets of the project</h2>\n<div class=\"scroll\"><table class=\"wins\"><tr><th>target, over u64</th>\
                    <th class=\"n\">measured</th><th class=\"n\">bound</th><th></th></tr>\n"
        .to_owned();
    for target in &report.targets {
        let (class, word) = if target.met { ("win", "met") } else { ("loss", "missed") };
        html += &format!(
            "<tr><td>{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td><td class=\"{class}\">{word}</td></tr>\n",
            escape(&target.what),
            target.measured,
            target.bound_text()
        );
    }
    html + "</table></div></section>\n"
}

fn figure(cell: &CellReport) -> Result<String, Box<dyn std::error::Error>> {
    let threads = if cell.threads == 1 { "1 thread".into() } else { format!("{} threads", cell.threads) };
    let split =
        if cell.label == cell.threads.to_string() { String::new() } else { format!(" ({})", cell.label) };
    Ok(format!(
        "<article class=\"cell\"><h3>{} · {threads}{split} <span class=\"soft\">{}</span></h3>\
         <div class=\"wide\">{}</div><div class=\"narrow\">{}</div>{}{}</article>\n",
        escape(cell.value),
        cell.unit,
        plot::bars(cell, WIDE)?,
        plot::bars(cell, NARROW)?,
        trials(cell),
        details(cell)
    ))
}

/// A column of the table below a plot; left out where no row has a value.
type Column = (&'static str, fn(&RowReport) -> Option<String>);

const COLUMNS: [Column; 16] = [
    ("trials in which the others went on", |r| r.trials.map(|t| t.went_on.to_string())),
    ("... stood still", |r| r.trials.map(|t| t.stood_still.to_string())),
    ("median", |r| r.cost.map(short)),
    ("least", |r| Some(short(r.range.0))),
    ("most", |r| Some(short(r.range.1))),
    ("CPU ns", |r| r.cpu_ns.map(short)),
    ("unfairness", |r| r.unfairness.map(|u| format!("{u:.1}"))),
    ("p50", |r| r.latency.as_ref().map(|l| duration(l.p50))),
    ("p99", |r| r.latency.as_ref().map(|l| duration(l.p99))),
    ("p99.9", |r| r.latency.as_ref().map(|l| duration(l.p99_9))),
    ("p99.99", |r| r.latency.as_ref().map(|l| duration(l.p99_99))),
    ("p99.999", |r| r.latency.as_ref().map(|l| duration(l.p99_999))),
    ("max", |r| r.latency.as_ref().map(|l| duration(l.max))),
    ("peak", |r| r.memory.as_ref().map(|m| bytes(m.peak_bytes))),
    ("kept when drained", |r| r.memory.as_ref().map(|m| bytes(m.drained_bytes))),
    ("peak in pairs", |r| r.memory.as_ref().map(|m| bytes(m.churn_peak_bytes))),
];

/// Beside the plot where there are trials: what counts is whether, not how long.
fn trials(cell: &CellReport) -> String {
    let rows: String = cell
        .rows
        .iter()
        .filter_map(|row| {
            let trials = row.trials?;
            let class = if trials.stood_still == 0 { "win" } else { "loss" };
            Some(format!(
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n {class}\">{}</td></tr>\n",
                escape(row.name),
                trials.went_on,
                trials.stood_still
            ))
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<div class=\"scroll\"><table><tr><th>trials in which the others</th><th class=\"n\">went on</th>\
         <th class=\"n\">stood still</th></tr>\n{rows}</table></div>"
    )
}

fn details(cell: &CellReport) -> String {
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|c| cell.rows.iter().any(|row| c.1(row).is_some())).collect();
    let mut html =
        "<details><summary>All numbers</summary><div class=\"scroll\"><table><tr><th>row</th>".to_owned();
    for (name, _) in &columns {
        html += &format!("<th class=\"n\">{name}</th>");
    }
    html += "<th>note</th></tr>\n";
    for row in &cell.rows {
        let class = if row.role == Role::Ours { " class=\"ours\"" } else { "" };
        html += &format!("<tr{class}><td>{}</td>", escape(row.name));
        for (_, value) in &columns {
            html += &format!("<td class=\"n\">{}</td>", value(row).unwrap_or_else(|| "-".into()));
        }
        let note =
            [tag(cell, row), row.note].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("; ");
        html += &format!("<td class=\"soft\">{}</td></tr>\n", escape(&note));
    }
    html + "</table></div></details>"
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
