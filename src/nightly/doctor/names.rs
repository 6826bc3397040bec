//! Names and settings of single certificates. Pure.

use anyhow::Error;

use crate::dnscontrol::DnsConfig;
use crate::model::checkup::{Finding, Subject};
use crate::model::outcome::Planned;
use crate::nightly::{fits, names};

/// What is wrong with a certificate as certs.json has it.
pub(super) fn look(planned: &Planned, dns: &DnsConfig) -> Vec<Finding> {
    let subject = || Subject::Certificate(planned.wanted.name.clone());
    let astray = fits::each_in_no_zone(&planned.wanted, dns).into_iter();
    let mut findings: Vec<_> = astray
        .map(|(_, error)| error)
        .chain(fits::ca_is_one(&planned.wanted).err())
        .map(|error| Finding::error(subject(), error))
        .collect();
    let (_, refused) = names::sort(vec![planned.clone()]);
    let refused = refused.into_iter().filter_map(|done| done.result.err());
    let name = &planned.wanted.name;
    findings.extend(refused.map(|error| {
        let error = Error::new(error).context(format!("cannot issue `{name}`"));
        Finding::error(subject(), error)
    }));
    let covered = names::covered(&planned.wanted).into_iter();
    findings.extend(covered.map(|text| Finding::warning(subject(), Error::msg(text))));
    findings
}
