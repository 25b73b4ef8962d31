//! Bars as SVG, drawn by plotters. Colours are stand-ins that the page's style sheet replaces, by
//! attribute selectors, for its light and dark forms.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::data::{CellReport, RowReport, short};
use super::terminal::tag;
use crate::plan::Role;

type Failure = Box<dyn std::error::Error>;

// Okabe and Ito's colours for the two that matter, told apart by tags and order too.
pub const OURS: RGBColor = RGBColor(0, 114, 178);
pub const BEST: RGBColor = RGBColor(230, 159, 0);
pub const PEER: RGBColor = RGBColor(140, 140, 140);
pub const INK: RGBColor = RGBColor(34, 34, 34);
pub const FAINT: RGBColor = RGBColor(221, 221, 221);

/// Bars longer than this many times the best peer's are cut, so that one slow row does not flatten
/// all others.
const CUT: f64 = 6.0;

/// Where things stand in a drawing of some width.
struct Frame {
    width: i32,
    /// Names above the bars instead of left of them.
    stacked: bool,
    left: i32,
    /// Space for the numbers behind the longest bar.
    right: i32,
    row: i32,
    bar: i32,
}

impl Frame {
    fn new(width: i32) -> Self {
        let stacked = width < 500;
        // The longest name with its tag, "crossbeam ArrayQueue · best peer, bounded", is 292 wide in a wide font (DejaVu Sans).
        let (left, row) = if stacked { (4, 42) } else { (304, 26) };
        Frame { width, stacked, left, right: 128, row, bar: 14 }
    }
}

/// The cell's rows as bars, cheapest first, with the number beside each.
pub fn bars(cell: &CellReport, width: i32) -> Result<String, Failure> {
    let rows: Vec<&RowReport> = cell.rows.iter().filter(|row| row.cost.is_some()).collect();
    let frame = Frame::new(width);
    let height = frame.row * rows.len() as i32 + 8;
    let most = rows.iter().filter_map(|row| row.cost).fold(0.0, f64::max);
    let best = cell.best_peer_row().and_then(|row| row.cost).unwrap_or(most);
    let ours = cell.candidates().filter_map(|row| row.cost).fold(0.0, f64::max);
    // Never cut our own bar: a loss has its full length.
    let scale = most.min((best * CUT).max(ours)).max(f64::MIN_POSITIVE);

    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width as u32, height as u32)).into_drawing_area();
        let axis = [(frame.left, 2), (frame.left, height - 4)];
        area.draw(&PathElement::new(axis, FAINT.stroke_width(1)))?;
        for (i, row) in rows.iter().enumerate() {
            let top = 4 + frame.row * i as i32;
            draw_row(&area, &frame, cell, row, top, scale)?;
        }
        area.present()?;
    }
    Ok(accessible(&svg, &format!("{}: {} of each row", cell.id, cell.unit)))
}

fn draw_row<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    frame: &Frame,
    cell: &CellReport,
    row: &RowReport,
    top: i32,
    scale: f64,
) -> Result<(), Failure>
where
    B::ErrorType: 'static,
{
    let cost = row.cost.unwrap_or_default();
    let room = f64::from(frame.width - frame.left - frame.right);
    let x = |value: f64| frame.left + (value.min(scale) / scale * room).round() as i32;
    let middle = if frame.stacked { top + 28 } else { top + frame.row / 2 };
    let (y0, y1) = (middle - frame.bar / 2, middle + frame.bar / 2);
    let tag = tag(cell, row);
    let colour = match row.role {
        Role::Ours => OURS,
        Role::Peer if tag.starts_with("best peer") => BEST,
        _ => PEER,
    };
    let text = |size: i32, h, weight| {
        // Without font files plotters writes a size 1.24 times too small.
        let font = FontDesc::new(FontFamily::SansSerif, f64::from(size) * 1.24, weight);
        TextStyle::from(font).color(&INK).pos(Pos::new(h, VPos::Center))
    };
    let weight = if row.role == Role::Ours { FontStyle::Bold } else { FontStyle::Normal };

    let label = if tag.is_empty() { row.name.to_owned() } else { format!("{} · {tag}", row.name) };
    let (at, side) = if frame.stacked {
        ((frame.left, top + 11), HPos::Left)
    } else {
        ((frame.left - 8, middle), HPos::Right)
    };
    area.draw(&Text::new(label, at, text(13, side, weight)))?;

    // Limits are outlines: they are no contestants.
    let solid = if row.role == Role::Limit { colour.stroke_width(1) } else { colour.filled() };
    let end = x(cost).max(frame.left + 1);
    area.draw(&Rectangle::new([(frame.left, y0), (end, y1)], solid))?;
    let (low, high) = (x(row.range.0), x(row.range.1));
    if high > low && row.range.0 < scale {
        area.draw(&PathElement::new([(low, middle), (high, middle)], INK.stroke_width(1)))?;
    }
    let cut = if cost > scale { "» " } else { "" };
    let speed = row.speed.map_or_else(String::new, |speed| format!(" ({speed:.2}×)"));
    let number = format!("{cut}{}{speed}", short(cost));
    area.draw(&Text::new(number, (end.max(high) + 6, middle), text(13, HPos::Left, weight)))?;
    Ok(())
}

/// Says what the picture is, and lets it shrink with the page.
fn accessible(svg: &str, title: &str) -> String {
    let title = super::html::escape(title);
    svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{title}\" "), 1)
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{cell, row};
    use super::*;

    #[test]
    fn every_row_has_its_name_and_number() {
        let rows = vec![row("mine", Role::Ours, 25.0), row("theirs", Role::Peer, 12.5)];
        let svg = bars(&cell("pairs", 2, rows), 720).unwrap();
        for text in ["mine", "theirs", "25.0", "(0.50×)", "best peer", "#0072B2", "#E69F00", "role=\"img\""]
        {
            assert!(svg.contains(text), "{text} is missing from {svg}");
        }
    }

    #[test]
    fn slow_rows_are_cut_and_say_so() {
        let rows = vec![
            row("mine", Role::Ours, 10.0),
            row("fast", Role::Peer, 10.0),
            row("slow", Role::Peer, 900.0),
        ];
        assert!(bars(&cell("pairs", 2, rows), 340).unwrap().contains("» 900"));
    }
}
