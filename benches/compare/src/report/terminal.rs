//! Tables for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell as Field, CellAlignment, ContentArrangement, Table};

use super::data::{CellReport, NO_NUMBER, Report, RowReport, bytes, duration, short, verdict};
use crate::plan::{Plan, Role};

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| Field::new(name).add_attribute(Attribute::Bold)));
    table
}

fn align_numbers(table: &mut Table, words: usize) {
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".into(), text)
}

/// How a row is told apart without colour.
pub fn tag(cell: &CellReport, row: &RowReport) -> &'static str {
    match row.role {
        _ if row.hung => "hung",
        Role::Ours => "ours",
        Role::Limit => "limit",
        Role::Peer if Some(row.name) == cell.best_peer && row.note.starts_with("bounded") => {
            "best peer, bounded"
        }
        Role::Peer if Some(row.name) == cell.best_peer => "best peer",
        Role::Peer if row.note.starts_with("bounded") => "bounded",
        Role::Peer if row.note.starts_with("baseline") => "baseline",
        Role::Peer => "",
    }
}

/// One cell, cheapest row first.
pub fn cell(cell: &CellReport) -> String {
    let memory = cell.rows.iter().any(|row| row.memory.is_some());
    let latency = cell.rows.iter().any(|row| row.latency.is_some());
    let fairness = cell.rows.iter().any(|row| row.unfairness.is_some());
    let trials = cell.rows.iter().any(|row| row.trials.is_some());
    let mut header = vec!["row", ""];
    if trials {
        header.extend(["others went on", "stood still"]);
    }
    if memory {
        header.extend(["bytes/element", "vs best peer", "peak", "kept when drained", "peak in pairs"]);
    } else {
        header.extend([cell.unit, "vs best peer", "CPU ns"]);
        if fairness {
            header.push("unfairness");
        }
        if latency {
            header.extend(["p50", "p99", "p99.9", "p99.99", "p99.999", "max"]);
        }
    }
    let mut table = table(&header);
    for row in &cell.rows {
        let mut fields = vec![row.name.to_owned(), tag(cell, row).to_owned()];
        if trials {
            fields.push(or_dash(row.trials, |t| t.went_on.to_string()));
            fields.push(or_dash(row.trials, |t| t.stood_still.to_string()));
        }
        fields.push(or_dash(row.cost, short));
        fields.push(or_dash(row.speed, |s| format!("{s:.2}×")));
        if let Some(m) = &row.memory {
            fields.extend([bytes(m.peak_bytes), bytes(m.drained_bytes), bytes(m.churn_peak_bytes)]);
        } else {
            fields.push(or_dash(row.cpu_ns, short));
            if fairness {
                fields.push(or_dash(row.unfairness, |u| format!("{u:.1}")));
            }
            if let Some(l) = &row.latency {
                fields.extend([l.p50, l.p99, l.p99_9, l.p99_99, l.p99_999, l.max].map(duration));
            }
        }
        let bold = row.role == Role::Ours;
        table.add_row(fields.into_iter().map(|text| {
            let field = Field::new(text);
            if bold { field.add_attribute(Attribute::Bold) } else { field }
        }));
    }
    align_numbers(&mut table, 2);
    format!("\n{}\n{}\n{table}", cell.id, cell.about)
}

/// Who wins by how much, one line a cell, and the project's targets.
pub fn summary(report: &Report) -> String {
    let mut wins = table(&["cell", "of", "unit", "ours", "best peer", "is", "speed, ours to best peer"]);
    for cell in &report.cells {
        let Some(best) = cell.best_peer_row() else { continue };
        for ours in cell.candidates() {
            wins.add_row([
                cell.id.clone(),
                ours.name.trim_start_matches("latchfree::").into(),
                cell.unit.into(),
                or_dash(ours.cost, short),
                or_dash(best.cost, short),
                best.name.into(),
                ours.speed.map_or_else(|| NO_NUMBER.into(), verdict),
            ]);
        }
    }
    let mut targets = table(&["target", "measured", "bound", ""]);
    for target in &report.targets {
        targets.add_row([
            target.what.clone(),
            format!("{:.2}", target.measured),
            target.bound_text(),
            if target.met { "met".into() } else { "MISSED".to_owned() },
        ]);
    }
    let mut scores = table(&["cells of", "ahead of every peer", "even", "behind the best"]);
    for (name, score) in report.scores() {
        let mut fields = vec![name.trim_start_matches("latchfree::").to_owned()];
        fields.extend(score.map(|cells| cells.to_string()));
        scores.add_row(fields);
    }
    align_numbers(&mut scores, 1);
    let mut text = format!(
        "\nWho wins by how much (medians of {} rounds; less is better)\n{wins}\n{scores}\n",
        report.settings.rounds
    );
    if !report.targets.is_empty() {
        text += &format!("\nTargets of the project\n{targets}\n");
    }
    text
}

/// What `--list` prints.
pub fn list(plan: &Plan) -> String {
    let mut text = String::new();
    for part in &plan.parts {
        text += &format!("{}: {}\n\n", part.kind.name, part.kind.about);
        for row in &part.kind.rows {
            let role = match row.role {
                Role::Ours => "ours",
                Role::Peer => "peer",
                Role::Limit => "limit",
            };
            let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
            text += &format!("  {role:<6}{}{note}\n", row.name);
        }
        text.push('\n');
        for cell in &part.cells {
            let seconds = plan.duration_of(part, cell).as_secs_f64();
            text +=
                &format!("  {:<34}{:>2} rows {seconds:>6.1} s\n", cell.id(), Plan::rows(part, cell).count());
        }
        text.push('\n');
    }
    let total = plan.duration().as_secs_f64();
    text + &format!(
        "{} rounds of {:.0} ms a row, about {:.0}:{:02.0} min in all\n",
        plan.rounds,
        plan.budget.as_secs_f64() * 1e3,
        (total / 60.0).floor(),
        (total % 60.0).floor()
    )
}
