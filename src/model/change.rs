//! Challenge values to be written to DNS and taken back.

use std::fmt;

use crate::model::name::DnsName;

/// One TXT value at one name. The value is one string of at most 255 octets, unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Txt {
    pub(crate) name: DnsName,
    pub(crate) value: String,
}

impl fmt::Display for Txt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} TXT \"{}\"", self.name, self.value)
    }
}

/// TXT values of one zone that are added and removed in as few API calls as the provider allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TxtBatch {
    pub(crate) add: Vec<Txt>,
    pub(crate) remove: Vec<Txt>,
}

impl TxtBatch {
    /// A batch that only adds.
    pub(crate) fn adding(values: Vec<Txt>) -> Self {
        Self {
            add: values,
            remove: Vec::new(),
        }
    }

    /// A batch that only removes.
    pub(crate) fn removing(values: Vec<Txt>) -> Self {
        Self {
            add: Vec::new(),
            remove: values,
        }
    }
}
