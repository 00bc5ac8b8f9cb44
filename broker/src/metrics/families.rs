//! Figures that are looked up for one scrape, in the form in which the counted ones come from their registry.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// Families of figures, in the making.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

/// The samples of one family, in the making.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<(Vec<LabelPair>, f64)>);

impl Samples {
    /// Adds a sample.
    pub(super) fn add(&mut self, labels: &[Label<'_>], value: f64) {
        let labels = labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        self.0.push((labels.collect(), value));
    }

    /// Adds a sample that counts something. Above 2⁵³ it is rounded.
    pub(super) fn add_count(&mut self, labels: &[Label<'_>], count: u64) {
        self.add(labels, count as f64);
    }
}

impl Families {
    /// A single figure that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let mut samples = Samples::default();
        samples.add(&[], value);
        self.gauges(name, help, samples);
    }

    /// A single number of things, which goes up and down.
    pub(super) fn count(&mut self, name: &str, help: &str, count: usize) {
        self.gauge(name, help, count as f64);
    }

    /// Figures that go up and down.
    pub(super) fn gauges(&mut self, name: &str, help: &str, samples: Samples) {
        self.family(name, help, MetricType::GAUGE, samples, |metric, value| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        });
    }

    /// Figures that only grow while the process lives.
    pub(super) fn counters(&mut self, name: &str, help: &str, samples: Samples) {
        self.family(name, help, MetricType::COUNTER, samples, |metric, value| {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        });
    }

    /// All families. None is without a sample.
    pub(super) fn into_inner(self) -> Vec<MetricFamily> {
        self.0
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: Samples,
        set: impl Fn(&mut Metric, f64),
    ) {
        if samples.0.is_empty() {
            return;
        }
        let metrics = samples.0.into_iter().map(|(labels, value)| {
            let mut metric = Metric::from_label(labels);
            set(&mut metric, value);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics.collect());
        self.0.push(family);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn labels_are_escaped_and_an_empty_family_is_left_out() {
        let mut families = Families::default();
        families.gauges("none", "Nothing.", Samples::default());
        let mut samples = Samples::default();
        samples.add_count(&[("group", "a\"b\\c\nd")], 3);
        families.counters("some_total", "Something.", samples);
        let text = TextEncoder::new().encode_to_string(&families.into_inner()).unwrap();
        let expected = "# HELP some_total Something.\n# TYPE some_total counter\nsome_total{group=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(text, expected);
    }
}
