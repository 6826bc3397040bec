//! A picture of all expiries: a mark for each certificate, stacked over the time at which it ends.

use std::collections::BTreeMap;

use time::{Date, Duration, Month, OffsetDateTime};

use crate::model::status::{CertificateStatus, Status};
use crate::report::status::html::escaped;
use crate::report::status::words::{self, Mood};
use crate::report::terminal::day;

/// Nothing ends later that a public CA issues: 398 days
/// (<https://cabforum.org/working-groups/server/baseline-requirements/requirements/>, section 6.3.2).
const FARTHEST: Duration = Duration::days(400);

/// How large the picture is, in pixels at its natural size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Tells the pictures of a page apart.
    pub(super) id: &'static str,
    width: i32,
    /// Stacks side by side.
    stacks: i32,
    /// Most labels of the axis.
    labels: usize,
}

/// For screens as wide as a table, for smaller ones, and for telephones.
pub(super) const SIZES: [Size; 3] = [
    Size {
        id: "wide",
        width: 960,
        stacks: 80,
        labels: 12,
    },
    Size {
        id: "medium",
        width: 480,
        stacks: 44,
        labels: 7,
    },
    Size {
        id: "narrow",
        width: 280,
        stacks: 28,
        labels: 4,
    },
];

/// What is around the marks.
const TOP: f64 = 26.0;
const BOTTOM: f64 = 28.0;
const MARGIN: i32 = 10;

/// Height of the highest stack, at least and at most.
const HEIGHTS: (f64, f64) = (48.0, 150.0);

/// The picture as SVG; none where nothing is held.
pub(super) fn svg(status: &Status, size: Size) -> Option<String> {
    let held = status
        .certificates
        .iter()
        .filter_map(|one| Some((one.not_after()?, one)));
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|(end, one)| (*end, &one.name));
    let (first, last) = (held.first()?, held.last()?);
    let mut scale = Scale::new(status.at, (first.0, last.0), size);
    let marks = marks(&held, &mut scale, status.at);
    let Size { id, width, .. } = size;
    let height = scale.axis + BOTTOM;
    let mut svg = format!(
        "<svg class=\"{id}\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">When certificates expire</title>\n\
         <desc id=\"{id}-desc\">{}</desc>\n",
        escaped(&description(&held))
    );
    svg += &scale.axis();
    svg += &marks;
    svg += &scale.now();
    Some(svg + "</svg>\n")
}

fn description(held: &[(OffsetDateTime, &CertificateStatus)]) -> String {
    let told = |(end, one): &(OffsetDateTime, &CertificateStatus)| {
        format!("{} on {}", one.name, day(*end))
    };
    match held {
        [] => String::new(),
        [only] => format!("One certificate: {}.", told(only)),
        [first, .., last] => format!(
            "{} certificates. The first to expire is {}, the last {}.",
            held.len(),
            told(first),
            told(last)
        ),
    }
}

/// From moments to places.
struct Scale {
    from: OffsetDateTime,
    to: OffsetDateTime,
    now: OffsetDateTime,
    size: Size,
    /// How far down the axis is.
    axis: f64,
}

impl Scale {
    /// What has long expired, and what ends after all others could, is at the edge.
    fn new(
        now: OffsetDateTime,
        (first, last): (OffsetDateTime, OffsetDateTime),
        size: Size,
    ) -> Self {
        let to = last.clamp(now + Duration::days(2), now + FARTHEST);
        let ahead = to - now;
        let from = first.clamp(now - ahead / 5, now - ahead / 40);
        Self {
            from,
            to: to + ahead / 60,
            now,
            size,
            axis: TOP,
        }
    }

    /// Where a moment is, from 0 to 1.
    fn share(&self, moment: OffsetDateTime) -> f64 {
        let whole = (self.to - self.from).as_seconds_f64();
        ((moment - self.from).as_seconds_f64() / whole).clamp(0.0, 1.0)
    }

    fn x(&self, moment: OffsetDateTime) -> f64 {
        let plot = f64::from(self.size.width - 2 * MARGIN);
        f64::from(MARGIN) + self.share(moment) * plot
    }

    fn stack(&self, moment: OffsetDateTime) -> i32 {
        let stacks = self.size.stacks;
        (0..stacks - 1)
            .find(|stack| self.share(moment) < f64::from(stack + 1) / f64::from(stacks))
            .unwrap_or(stacks - 1)
    }

    fn axis(&self) -> String {
        let (axis, right) = (self.axis, self.size.width - MARGIN);
        let mut svg = format!(
            "<line class=\"axis\" x1=\"{MARGIN}\" y1=\"{axis:.1}\" x2=\"{right}\" y2=\"{axis:.1}\"/>\n"
        );
        for (date, label) in labels(self.from.date(), self.to.date(), self.size.labels) {
            let x = self.x(date.midnight().assume_utc());
            svg += &format!(
                "<line class=\"tick\" x1=\"{x:.1}\" y1=\"{TOP:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\n",
                axis + 5.0
            );
            // A label that is cut off says nothing.
            if f64::from(self.size.width) - x > 44.0 {
                let (x, y) = (x + 4.0, axis + 18.0);
                svg += &format!("<text x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>\n");
            }
        }
        svg
    }

    fn now(&self) -> String {
        let x = self.x(self.now);
        format!(
            "<line class=\"now\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\n\
             <text class=\"now\" x=\"{:.1}\" y=\"14\">today</text>\n",
            TOP - 8.0,
            self.axis,
            (x - 4.0).max(2.0)
        )
    }
}

/// The marks, which say how far down the axis is.
fn marks(
    held: &[(OffsetDateTime, &CertificateStatus)],
    scale: &mut Scale,
    now: OffsetDateTime,
) -> String {
    let mut stacks: BTreeMap<i32, Vec<(Mood, OffsetDateTime, &CertificateStatus)>> =
        BTreeMap::new();
    for (end, one) in held {
        let stack = stacks.entry(scale.stack(*end)).or_default();
        stack.push((Mood::of(one), *end, one));
    }
    let highest = stacks.values().map(Vec::len).max().unwrap_or(1);
    let highest = f64::from(u32::try_from(highest).unwrap_or(u32::MAX));
    let plot = f64::from(scale.size.width - 2 * MARGIN);
    let width = plot / f64::from(scale.size.stacks);
    let (least, most) = HEIGHTS;
    let height = (most / highest).min(width);
    scale.axis = TOP + (height * highest).max(least);
    // Marks that are thin touch each other.
    let gap = if height > 4.0 { 2.0 } else { 0.0 };
    let mut svg = String::new();
    for (stack, mut all) in stacks {
        all.sort_by_key(|(mood, end, one)| (*mood, *end, &one.name));
        let x = f64::from(MARGIN) + f64::from(stack) * width;
        for (position, (mood, end, one)) in (1_u32..).zip(all) {
            let y = scale.axis - f64::from(position) * height;
            svg += &format!(
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.2}\" rx=\"{:.1}\">\
                 <title>{}: {}, {}</title></rect>\n",
                class(mood),
                x + 1.0,
                y + gap / 2.0,
                width - 2.0,
                height - gap,
                gap,
                escaped(one.name.as_str()),
                day(end),
                words::time_left(end, now)
            );
        }
    }
    svg
}

pub(super) fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Bad => "bad",
        Mood::Due => "due",
        Mood::Good => "good",
        Mood::Unlisted => "unlisted",
    }
}

/// Days below which something is written: begins of months, or days where there are few of them.
fn labels(from: Date, to: Date, most: usize) -> Vec<(Date, String)> {
    let months: Vec<Date> = begins_of_months(from, to);
    if months.len() >= 3 {
        let with_step = |step: u8| {
            let is_shown = |date: &&Date| (u8::from(date.month()) - 1).is_multiple_of(step);
            let shown = months.iter().filter(is_shown);
            shown.map(|date| (*date, month(*date))).collect::<Vec<_>>()
        };
        let mut steps = [1, 2, 3, 6].into_iter().map(with_step);
        let fitting = steps.find(|shown| shown.len() <= most);
        return fitting.unwrap_or_else(|| with_step(12));
    }
    let days = (to - from).whole_days().max(1);
    let step = [1, 2, 7, 14, 28]
        .into_iter()
        .find(|step| usize::try_from(days / step).is_ok_and(|count| count < most))
        .unwrap_or(28);
    let dates = (1..)
        .map(|number| from.checked_add(Duration::days(number * step)))
        .map_while(|date| date.filter(|date| *date < to));
    dates
        .map(|date| (date, format!("{} {}", date.day(), short(date.month()))))
        .collect()
}

fn begins_of_months(from: Date, to: Date) -> Vec<Date> {
    let mut all = Vec::new();
    let (mut year, mut month) = (from.year(), from.month());
    loop {
        month = month.next();
        if month == Month::January {
            year += 1;
        }
        match Date::from_calendar_date(year, month, 1) {
            Ok(date) if date < to => all.push(date),
            _ => return all,
        }
    }
}

/// `Feb`; of a January the year.
fn month(date: Date) -> String {
    match date.month() {
        Month::January => date.year().to_string(),
        month => short(month),
    }
}

fn short(month: Month) -> String {
    month.to_string().chars().take(3).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn shown(from: Date, to: Date, most: usize) -> String {
        let labels = labels(from, to, most).into_iter().map(|(_, label)| label);
        labels.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn the_axis_has_as_many_labels_as_fit() {
        let from = date!(2026 - 11 - 26);
        assert_eq!(shown(from, date!(2027 - 02 - 25), 12), "Dec | 2027 | Feb");
        assert_eq!(
            shown(from, date!(2027 - 12 - 31), 4),
            "2027 | Apr | Jul | Oct"
        );
        assert_eq!(
            shown(from, date!(2026 - 12 - 03), 12),
            "27 Nov | 28 Nov | 29 Nov | 30 Nov | 1 Dec | 2 Dec"
        );
        assert_eq!(
            shown(from, date!(2026 - 12 - 20), 4),
            "3 Dec | 10 Dec | 17 Dec"
        );
        assert_eq!(shown(from, from, 4), "");
    }
}
