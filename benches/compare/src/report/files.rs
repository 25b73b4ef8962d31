//! `results.csv` and `results.json`.

use super::data::{CellReport, Report, RowReport};

pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("plain data has a JSON form")
}

const COLUMNS: &str = "kind,workload,value,threads,label,row,role,best_peer,unit,cost,cost_min,cost_max,\
speed_vs_best_peer,cpu_ns,unfairness,latency_p50_ns,latency_p99_ns,latency_p99_9_ns,latency_p99_99_ns,\
latency_p99_999_ns,latency_max_ns,bytes_per_element,peak_bytes,drained_bytes,churn_peak_bytes,\
trials_went_on,trials_stood_still";

/// One line a row and cell; the machine as comment lines before them.
pub fn csv(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in report.machine.lines() {
        text += &format!("# {name}: {value}\n");
    }
    text += &format!(
        "# rounds: {}, ms per run: {:.1}\n{COLUMNS}\n",
        report.settings.rounds, report.settings.ms_per_run
    );
    for cell in &report.cells {
        for row in &cell.rows {
            text += &line(cell, row);
        }
    }
    text
}

fn line(cell: &CellReport, row: &RowReport) -> String {
    let number = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:.3}"));
    let latency = row.latency.as_ref();
    let memory = row.memory.as_ref();
    let mut fields: Vec<String> = [cell.kind, cell.workload, cell.value].map(quoted).into();
    fields.push(cell.threads.to_string());
    fields.extend([cell.label.as_str(), row.name].map(quoted));
    fields.push(format!("{:?}", row.role).to_lowercase());
    fields.push((Some(row.name) == cell.best_peer).to_string());
    fields.push(cell.unit.into());
    fields.extend(
        [row.cost, Some(row.range.0), Some(row.range.1), row.speed, row.cpu_ns, row.unfairness].map(number),
    );
    fields.extend(
        [
            latency.map(|l| l.p50),
            latency.map(|l| l.p99),
            latency.map(|l| l.p99_9),
            latency.map(|l| l.p99_99),
            latency.map(|l| l.p99_999),
            latency.map(|l| l.max),
        ]
        .map(|x| x.map_or_else(String::new, |x| x.to_string())),
    );
    fields.push(number(memory.map(|m| m.bytes_per_element)));
    fields.extend(
        [memory.map(|m| m.peak_bytes), memory.map(|m| m.drained_bytes), memory.map(|m| m.churn_peak_bytes)]
            .map(|x| x.map_or_else(String::new, |x| x.to_string())),
    );
    fields.extend(
        [row.trials.map(|t| t.went_on), row.trials.map(|t| t.stood_still)]
            .map(|x| x.map_or_else(String::new, |x| x.to_string())),
    );
    fields.join(",") + "\n"
}

/// Quoted where the format asks for it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{cell, row};
    use super::*;
    use crate::plan::Role;

    #[test]
    fn a_line_has_a_field_per_column() {
        let cell = cell("pairs", 1, vec![row("a, \"b\"", Role::Peer, 2.0)]);
        let line = line(&cell, &cell.rows[0]);
        assert!(line.contains("\"a, \"\"b\"\"\""));
        // The quoted name holds one comma more.
        assert_eq!(line.matches(',').count(), COLUMNS.matches(',').count() + 1);
    }
}
