//! `a=fmtp`: the parameters of one format.

use super::Attribute;
use crate::Text;

/// The parameters of one format of an m-line (RFC 8866, section 6.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fmtp {
    /// The format as the m-line lists it.
    pub format: Text,
    /// The parameters, not interpreted.
    pub parameters: Text,
}

impl Fmtp {
    /// Reads an `a=fmtp` line; `None` if it is another attribute or has no parameters.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("fmtp") {
            return None;
        }
        let text = attribute.value_text()?;
        let (format, parameters) = text.trim().split_once([' ', '\t'])?;
        let parameters = text.slice_of(parameters.trim_start());
        Some(Self {
            format: text.slice_of(format),
            parameters,
        })
    }

    /// Finds the value of one parameter of a `name=value;name=value` list, the name in any case.
    pub fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
        parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let fmtp = Fmtp::read(&Attribute::new("fmtp", "111  minptime=10; UseInbandFec=1"));
        let fmtp = fmtp.expect("parameters");
        assert_eq!(fmtp.format, "111");
        assert_eq!(Fmtp::parameter(&fmtp.parameters, "useinbandfec"), Some("1"));
        assert_eq!(Fmtp::parameter(&fmtp.parameters, "maxptime"), None);
        assert_eq!(Fmtp::read(&Attribute::new("fmtp", "101")), None);
        assert_eq!(Fmtp::read(&Attribute::flag("fmtp")), None);
    }
}
